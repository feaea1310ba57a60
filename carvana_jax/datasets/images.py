"""Decodes and encodes images, and makes them smaller in one way for all.

Builders and evaluation share these, so a photo reduced while a data set is
prepared and one reduced while it is scored are the same, bit for bit.
"""

import io
import struct
import threading
from collections.abc import Sequence
from typing import IO

import cv2
import numpy as np
from PIL import Image

from carvana_jax.datasets import colour_profiles

try:
  import simplejpeg
except ImportError:  # in a light installation
  simplejpeg = None

MOST_PIXELS = 200_000_000  # the largest cameras have 150 million
# As of a JPG; to reduce a line of millions of pixels takes gigabytes.
MOST_SIDE = 65_500

_JPEG = b'\xff\xd8'  # how a JPG begins

# A photo's pixels as stored: a mask that goes with them knows no rotation.
_COLOUR = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

# Without filters photos take a fifth more bytes, but two thirds of the time to
# encode and to decode.
_FAST_PNG = (
  *(cv2.IMWRITE_PNG_COMPRESSION, 1),
  *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


class TooLargeError(ValueError):
  """An image has more pixels, or longer sides, than any camera makes."""


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
    TooLargeError: it has more than `MOST_PIXELS` pixels, or `MOST_SIDE` a side.
    ValueError: it is damaged. Pillow's decoders raise other kinds of
      exceptions, too.
  """
  with without_pillows_limit:
    image = Image.open(stream, formats=formats)
  if image.width * image.height > MOST_PIXELS:
    raise TooLargeError(f'has more than {MOST_PIXELS // 10**6} megapixels')
  if max(image.size) > MOST_SIDE:
    raise TooLargeError(f'has more than {MOST_SIDE} pixels a side')
  return image


def decode_photo(data: bytes) -> np.ndarray:
  """Decodes a JPG or PNG of a data set, not turned, whatever its Exif says.

  Returns:
    uint8 [H, W, 3], sRGB. A PNG, which builders write, is in sRGB already.

  Raises:
    ValueError: it is neither, or is damaged.
  """
  if data.startswith(_JPEG):
    return decode_jpeg(data)[0]
  return _decode(data, _COLOUR)


def decode_jpeg(data: bytes) -> tuple[np.ndarray, str]:
  """Decodes a JPG, not turned, and tells what its decoder complained of.

  Where a few bytes are wrong, a decoder guesses and goes on; the photo may look
  wrong from there on.

  Args:
    data: the file's bytes.

  Returns:
    uint8 [H, W, 3], sRGB; and the complaint in libjpeg's words, '' if there is
    none, or if simplejpeg is not installed: Pillow makes the same pixels,
    slower, and keeps complaints to itself.

  Raises:
    TooLargeError: as `opened`.
    ValueError: it is no JPG, or not whole.
  """
  try:
    with opened(io.BytesIO(data), ['JPEG']) as image:
      profile = colour_profiles.of(image)
      is_plain = profile is None and image.mode != 'CMYK'
      mode = 'RGB' if is_plain else image.mode
      stored, complaint = _stored(image, data, mode)
  except (OSError, SyntaxError, struct.error) as error:  # of Pillow
    raise ValueError('no whole JPG') from error
  if is_plain:
    return stored, complaint
  if 'adobe' in image.info and mode == 'CMYK':
    stored = 255 - stored  # Adobe's hold what is left white
  found = Image.frombytes(mode, image.size, stored)
  return np.array(colour_profiles.to_srgb(found, profile)), complaint


def check_jpeg(data: bytes) -> str:
  """Reads a JPG to its end, faster than it is decoded.

  Args:
    data: the file's bytes.

  Returns:
    As `decode_jpeg`, the complaint or ''.

  Raises:
    ValueError: it is no JPG, or not whole. Pillow's decoder raises other kinds
      of exceptions, too.
  """
  complaint = ''
  if simplejpeg:
    try:
      # An eighth of the pixels, luminance only.
      simplejpeg.decode_jpeg(data, 'GRAY', min_factor=8)
      return ''
    except ValueError as error:
      complaint = _complaint(error)
  with opened(io.BytesIO(data), ['JPEG']) as image:
    image.draft('L', (image.width // 8, image.height // 8))
    image.load()
  return complaint


def _stored(image, data, mode):
  """Returns the pixels of a JPG as stored, and the complaint."""
  complaint = ''
  if simplejpeg:
    try:
      return simplejpeg.decode_jpeg(data, 'GRAY' if mode == 'L' else mode), ''
    except ValueError as error:
      complaint = _complaint(error)
  # Pillow knows whether the end is missing, and rare kinds of JPG.
  image.load()
  pixels = np.array(image if image.mode == mode else image.convert(mode))
  if mode == 'CMYK':
    pixels = 255 - pixels  # Pillow takes all for Adobe's
  return pixels, complaint


def _complaint(error):
  # The library's own errors are no word on the file.
  text = str(error)
  return '' if text.startswith('tj') else text


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
  before = pixels.shape[:2]
  if (height < before[0]) != (width < before[1]):
    # OpenCV averages no axis where the other grows.
    first = min(width, before[1]), min(height, before[0])
    pixels = cv2.resize(pixels, first, interpolation=cv2.INTER_AREA)
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


without_pillows_limit = _WithoutPillowsLimit()
