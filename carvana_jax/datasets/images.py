"""Bytes to pixels and back, and the one way in which photos are made smaller.

Builders and evaluation share these, so a photo reduced while a data set is
prepared and one reduced while it is scored are the same, bit for bit.
"""

import warnings
from collections.abc import Sequence
from typing import IO

import cv2
import numpy as np
from PIL import Image

MOST_PIXELS = 200_000_000  # the largest cameras have 150 million
# Pillow would warn of photos that phones take; `opened` refuses instead.
Image.MAX_IMAGE_PIXELS = None
# Nor is it news what is not quite right in a file, such as a tag of Exif.
warnings.filterwarnings('ignore', module=r'PIL\.')


class TooLargeError(ValueError):
  """An image has more pixels than any camera makes."""


# Callers work on several images at once; more threads would only compete.
cv2.setNumThreads(0)

# A photo's pixels as stored: a mask that goes with them knows no rotation.
_COLOUR = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

# Without filters photos take a fifth more bytes, but two thirds of the time to
# encode and to decode.
_FAST_PNG = (
  *(cv2.IMWRITE_PNG_COMPRESSION, 1),
  *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


def opened(
  stream: IO[bytes], formats: Sequence[str] | None = None
) -> Image.Image:
  """Opens an image, of which only the header is read.

  Args:
    stream: the file.
    formats: that it may have, in Pillow's names; None: any.

  Raises:
    ValueError: it has too many pixels, or is damaged. Pillow's decoders raise
      other kinds of exceptions, too.
  """
  image = Image.open(stream, formats=formats)
  if image.width * image.height > MOST_PIXELS:
    raise TooLargeError(f'has more than {MOST_PIXELS // 10**6} megapixels')
  return image


def decode_photo(data: bytes) -> np.ndarray:
  """JPG or PNG bytes -> uint8 [H, W, 3]; `ValueError` if they are neither."""
  return _decode(data, _COLOUR)


def decode_mask(data: bytes) -> np.ndarray:
  """One-channel PNG bytes -> uint8 [H, W]; `ValueError` if they are not."""
  return _decode(data, cv2.IMREAD_GRAYSCALE)


def _decode(data, flags):
  try:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
  except cv2.error:  # of no bytes, or of too many pixels
    pixels = None
  if pixels is None:
    raise ValueError('not an image')
  return pixels


def reduce(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
  """Averages areas of uint8 [H, W] or [H, W, 3] into [height, width(, 3)].

  Every pixel of the result is the mean of the rectangle that it covers in the
  source, where pixels cut by the rectangle's edge count by their share, and
  is rounded to the nearest integer.
  """
  return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def mask_pixels(mask: np.ndarray) -> np.ndarray:
  """Returns the pixels of a mask, bool [H, W] -> uint8 [H, W], 0 or 255."""
  return mask.view(np.uint8) * np.uint8(255)


def encode_png(pixels: np.ndarray) -> bytes:
  """uint8 [H, W] or [H, W, 3] -> PNG bytes."""
  if pixels.ndim == 3:
    pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
  return cv2.imencode('.png', pixels, _FAST_PNG)[1].tobytes()
