"""How OpenCV and Pillow behave in a command's process."""

import warnings

import cv2


def configure() -> None:
  """Makes OpenCV use one thread a call, and Pillow's warnings silent.

  Both hold for the whole process, so that is for commands to decide, and no
  library code does it. `cli.run` calls this.
  """
  # Commands work on several images at once; more threads would only compete.
  cv2.setNumThreads(0)
  # It is no news to users what is not quite right in a file, such as a tag of
  # Exif.
  warnings.filterwarnings('ignore', module=r'PIL\.')
