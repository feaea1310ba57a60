"""How OpenCV and Pillow behave in a process, and whether libtiff failed."""

import ctypes
import logging
import threading
import warnings

import cv2
from PIL import Image

_libtiff = threading.local()  # failed: whether it has, in this thread
_Handler = ctypes.CFUNCTYPE(
  None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p
)
_printing = None  # what libtiff has called so far, which prints


@_Handler
def _on_libtiff_error(module, text, arguments):
  _libtiff.failed = True
  if _printing:
    _printing(module, text, arguments)


# Not where libtiff is a part of Pillow that shows no names: it prints there.
_pillow = ctypes.CDLL(Image.core.__file__)
if hasattr(_pillow, 'TIFFSetErrorHandler'):
  _pillow.TIFFSetErrorHandler.restype = _Handler
  _printing = _pillow.TIFFSetErrorHandler(_on_libtiff_error)


def configure() -> None:
  """Makes OpenCV use one thread a call, and both libraries silent.

  All of it holds for the whole process, so that is for commands to decide, and
  no library code does it. `cli.run` calls this.
  """
  global _printing
  # Commands work on several images at once; more threads would only compete.
  cv2.setNumThreads(0)
  # It is no news to users what is not quite right in a file, such as a tag of
  # Exif; and what is wrong, commands say with the file's name.
  warnings.filterwarnings('ignore', module=r'PIL\.')
  logging.getLogger('PIL').setLevel(logging.CRITICAL)
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
  _printing = None


def libtiff_failed() -> bool:
  """Returns whether libtiff found an error in this thread since the last call.

  Pillow overlooks some of them, and shows what is left of the image.
  """
  failed, _libtiff.failed = getattr(_libtiff, 'failed', False), False
  return failed
