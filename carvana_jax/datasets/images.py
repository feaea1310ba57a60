"""Bytes to pixels and back, and the one way in which photos are made smaller.

Builders and evaluation share these, so a photo reduced while a data set is
prepared and one reduced while it is scored are the same, bit for bit.
"""

import io

import numpy as np
from PIL import Image


def decode_photo(data: bytes) -> np.ndarray:
  """JPG or PNG bytes -> uint8 [H, W, 3]."""
  with Image.open(io.BytesIO(data)) as image:
    return np.asarray(image.convert('RGB'))


def decode_mask(data: bytes) -> np.ndarray:
  """Bytes of a one-channel PNG -> uint8 [H, W], 0..255."""
  with Image.open(io.BytesIO(data)) as image:
    return np.asarray(image.convert('L'))


def reduce(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
  """Averages areas of uint8 [H, W] or [H, W, 3] into [height, width(, 3)].

  Every pixel of the result is the mean of the rectangle that it covers in the
  source, where pixels cut by the rectangle's edge count by their share, and
  is rounded to the nearest integer.
  """
  if pixels.shape[:2] == (height, width):
    return pixels
  image = Image.fromarray(pixels)
  return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def encode_png(pixels: np.ndarray) -> bytes:
  """uint8 [H, W] or [H, W, 3] -> PNG bytes."""
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, 'PNG', compress_level=1)
  return stream.getvalue()
