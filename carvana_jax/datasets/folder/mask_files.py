"""Opens masks of any kind, before it is known what their values mean.

A value is told by a key: a grey level of 8 bits is `GREY` times the level, one
of 16 bits itself, and a colour `COLOUR` and 0xRRGGBB. So black of a palette, of
RGB and of 1 bit are one value.
"""

import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from carvana_jax.datasets import decoding, images
from carvana_jax.system import image_libraries

GREY, COLOUR = 257, 1 << 16
GREYS = np.arange(256, dtype=np.int32) * GREY  # the keys of 8 bits
_FORMATS = (  # JPEG opens MPO, too
  'GIF', 'PNG', 'TIFF', 'BMP', 'WEBP', 'AVIF', 'JPEG', 'PPM', 'TGA',
)  # fmt: skip
# Of these, those whose pixels are not those that were saved.
_LOSSY = ('JPEG', 'MPO', 'AVIF')
# Of these, several frames are no animation but further pages or photos.
_PAGED = ('TIFF', 'MPO')
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a tag of TIFF, and one of its values
_RED, _GREEN, _BLUE = 299, 587, 114  # thousandths of luminance, ITU-R BT.601


class Stored(NamedTuple):
  """A mask's pixels, turned as its own Exif says.

  Attributes:
    pixels: uint8 or, of 16 bits, uint16 [H, W]; or uint8 [H, W, 3], RGB.
    keys: int32 [256], of the values of 8 bits; None where there are others.
    has_palette: whether `keys` are of a palette's indexes.
    alpha: uint8 [H, W], or None.
    is_lossy: whether the format has changed the pixels, which then are
      luminance.
    is_turned: whether Exif has turned it.
  """

  pixels: np.ndarray
  keys: np.ndarray | None
  has_palette: bool
  alpha: np.ndarray | None
  is_lossy: bool
  is_turned: bool


def read(data: bytes) -> Stored:
  """Decodes a mask.

  Args:
    data: the file's bytes.

  Returns:
    Its pixels.

  Raises:
    ValueError: it is damaged, animated or no image; the message is to be put
      after the file's name.
  """
  try:
    with images.opened(io.BytesIO(data), _FORMATS) as image:
      is_turned = decoding.stored_as(image) != 1
      orientation = decoding.turned_by(image)
      stored = _stored(image, data)
  except UnidentifiedImageError as error:
    kinds = (
      'is no PNG, GIF, TIFF, BMP, WebP, AVIF or JPG, or one of a rare kind'
    )
    raise ValueError(kinds if data else 'is empty') from error
  except (images.TooLargeError, _UnfitError):
    raise
  except Exception as error:  # Pillow's decoders raise all kinds
    raise ValueError('is damaged') from error
  turn = lambda x: None if x is None else decoding.upright(x, orientation)
  return stored._replace(
    pixels=turn(stored.pixels), alpha=turn(stored.alpha), is_turned=is_turned
  )


def luminance(keys: np.ndarray) -> np.ndarray:
  """Returns how bright values are, float [N] in 0..255, of their keys."""
  colour = keys - COLOUR
  red, green, blue = colour >> 16, colour >> 8 & 255, colour & 255
  light = (_RED * red + _GREEN * green + _BLUE * blue) / 1000
  return np.where(keys < COLOUR, keys / GREY, light)


def key_of(colour: tuple[int, int, int]) -> int:
  """Returns the key of a colour, which is that of a level where it is grey."""
  red, green, blue = map(int, colour)
  if red == green == blue:
    return GREY * red
  return COLOUR + (red << 16) + (green << 8) + blue


def colour_of(key: int) -> tuple[int, int, int] | None:
  """Returns a key's colour, None where no colour of 8 bits has it."""
  if key >= COLOUR:
    return tuple((key - COLOUR).to_bytes(3))
  level, rest = divmod(key, GREY)
  return None if rest else 3 * (level,)


class _UnfitError(ValueError):
  """A whole image that can't be a mask."""


def _stored(image: Image.Image, data: bytes) -> Stored:
  """Decodes an opened mask, not turned."""
  if getattr(image, 'is_animated', False) and image.format not in _PAGED:
    raise _UnfitError('has several frames: save the mask as a PNG')
  kind = image.format
  is_lossy = kind in _LOSSY or (kind == 'WEBP' and b'VP8L' not in data[:64])
  if kind in ('JPEG', 'MPO') and image.mode == 'CMYK':
    light = cv2.cvtColor(images.decode_jpeg(data)[0], cv2.COLOR_RGB2GRAY)
    return Stored(light, GREYS, False, None, True, False)
  image_libraries.libtiff_failed()  # before
  with images.without_pillows_limit:
    image.load()
  if image_libraries.libtiff_failed():
    raise ValueError('libtiff has found an error')
  if image.mode.startswith('I;16'):
    pixels = np.asarray(image).astype(np.uint16)
    if kind == 'TIFF' and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
      pixels = 65535 - pixels
    return Stored(pixels, None, False, None, False, False)
  if image.mode in ('F', 'I'):
    raise _UnfitError('has numbers of 32 bits: save it with 8 or 16')
  alpha = None
  if image.has_transparency_data:
    alpha = np.asarray(image.convert('RGBA').getchannel('A'))
  if is_lossy:
    light = np.asarray(image.convert('L'))
    return Stored(light, GREYS, False, alpha, True, False)
  if image.mode == 'P':
    keys = _palette(image)
    known = keys is not GREYS
    return Stored(np.asarray(image), keys, known, alpha, False, False)
  if image.mode in ('1', 'L', 'LA'):
    pixels = np.asarray(image.convert('L'))
    return Stored(pixels, GREYS, False, alpha, False, False)
  pixels = np.asarray(image.convert('RGB'))
  red, green, blue = cv2.split(pixels)
  if not cv2.norm(red, green, cv2.NORM_INF) + cv2.norm(red, blue, cv2.NORM_INF):
    return Stored(red, GREYS, False, alpha, False, False)
  return Stored(pixels, None, False, alpha, False, False)


def _palette(image):
  """Returns the keys of a palette's indexes, int32 [256]."""
  stored = [*image.getpalette(), *3 * 256 * [0]]  # Pillow leaves zeros out
  colours = np.array(stored[: 3 * 256]).reshape(256, 3)
  used = np.flatnonzero(image.histogram())
  if len(used) > 1 and len(np.unique(colours[used], axis=0)) == 1:
    return GREYS  # as the palette tells nothing
  return np.array([key_of(colour) for colour in colours], np.int32)
