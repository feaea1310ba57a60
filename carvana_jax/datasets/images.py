"""Decodes and encodes images, and makes them smaller in one way for all.

Builders and evaluation share these, so a photo reduced while a data set is
prepared and one reduced while it is scored are the same, bit for bit.
"""

import threading
from collections.abc import Sequence
from typing import IO

import cv2
import numpy as np
from PIL import Image

MOST_PIXELS = 200_000_000  # the largest cameras have 150 million

# A photo's pixels as stored: a mask that goes with them knows no rotation.
_COLOUR = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

# Without filters photos take a fifth more bytes, but two thirds of the time to
# encode and to decode.
_FAST_PNG = (
  *(cv2.IMWRITE_PNG_COMPRESSION, 1),
  *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


class TooLargeError(ValueError):
  """An image has more pixels than any camera makes."""


def opened(
  stream: IO[bytes], formats: Sequence[str] | None = None
) -> Image.Image:
  """Opens an image, of which only the header is read.

  Several threads may call it at once.

  Args:
    stream: the file.
    formats: the formats that the image may have, in Pillow's names; None for
      any.

  Returns:
    The image, whose pixels are not yet decoded.

  Raises:
    TooLargeError: it has more than `MOST_PIXELS` pixels.
    ValueError: it is damaged. Pillow's decoders raise other kinds of
      exceptions, too.
  """
  with _without_pillows_limit:
    image = Image.open(stream, formats=formats)
  if image.width * image.height > MOST_PIXELS:
    raise TooLargeError(f'has more than {MOST_PIXELS // 10**6} megapixels')
  return image


def decode_photo(data: bytes) -> np.ndarray:
  """Decodes a JPG or PNG as it is stored, whatever its Exif says.

  Returns:
    uint8 [H, W, 3], RGB.

  Raises:
    ValueError: it is neither, or is damaged.
  """
  return _decode(data, _COLOUR)


def decode_mask(data: bytes) -> np.ndarray:
  """Decodes a PNG of one channel.

  Returns:
    uint8 [H, W].

  Raises:
    ValueError: it is no image, or is damaged.
  """
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

  Args:
    pixels: the image.
    height: of the result.
    width: of the result.
  """
  return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def mask_pixels(mask: np.ndarray) -> np.ndarray:
  """Returns the pixels of a mask, bool [H, W] -> uint8 [H, W], 0 or 255."""
  return mask.view(np.uint8) * np.uint8(255)


def encode_png(pixels: np.ndarray) -> bytes:
  """Encodes uint8 [H, W] or RGB [H, W, 3] as a PNG."""
  if pixels.ndim == 3:
    pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
  return cv2.imencode('.png', pixels, _FAST_PNG)[1].tobytes()


class _WithoutPillowsLimit:
  """Lifts Pillow's own limit while any thread opens an image.

  Pillow would warn of photos that phones take, and its limit is one of the
  whole process. The first thread to enter lifts it and the last to leave sets
  it again, as threads that opened images one after another would spend their
  time waiting.
  """

  def __init__(self):
    self._lock = threading.Lock()
    self._threads = 0
    self._limit = None

  def __enter__(self) -> None:
    with self._lock:
      if not self._threads:
        self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
      self._threads += 1

  def __exit__(self, *_) -> None:
    with self._lock:
      self._threads -= 1
      if not self._threads:
        Image.MAX_IMAGE_PIXELS = self._limit


_without_pillows_limit = _WithoutPillowsLimit()
