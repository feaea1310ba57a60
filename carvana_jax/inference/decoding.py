"""Decodes photos to what people see, whatever made the file.

Data sets hold photos of one kind, which `datasets.images` decodes; users have
phones, scanners and web sites: photos that lie on their side, are transparent,
grey, animated, of 16 bits, of printers' inks or not whole.
"""

import io
import struct

import cv2
import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from carvana_jax.datasets import images

_FORMATS = ('JPEG', 'PNG', 'WEBP')  # Pillow's names
_PNG_BITS = 24  # where a PNG tells the bits of a sample

# What Pillow raises for damaged files.
_DAMAGED = (OSError, EOFError, ValueError, SyntaxError, struct.error, cv2.error)

# From the stored pixels to the upright ones, by Exif's tag 274 (Exif 2.32,
# section 4.6.4); 1 and what is not in the standard leave them as they are.
_ORIENTATION = 274
_UPRIGHT = {
  2: lambda pixels: cv2.flip(pixels, 1),
  3: lambda pixels: cv2.flip(pixels, -1),
  4: lambda pixels: cv2.flip(pixels, 0),
  5: cv2.transpose,
  6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
  7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
  8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def decode(data: bytes) -> np.ndarray:
  """Decodes a JPG, PNG or WebP as a viewer shows it.

  What is transparent becomes white, 16 bits become 8, an animation's first
  frame counts; colour profiles are not applied. A JPG that Exif does not turn
  has exactly the pixels of `images.decode_photo`, which networks learn from.

  Args:
    data: the file's bytes; its name does not matter.

  Returns:
    uint8 [H, W, 3], RGB, upright.

  Raises:
    ValueError: the photo is damaged, too large or of another format; the
      message, such as 'is damaged', is to be put after the photo's name.
  """
  image = _open(data)
  orientation = _orientation(image)
  try:
    pixels = _stored(image, data)
  except _DAMAGED as error:
    raise ValueError('is damaged') from error
  return _UPRIGHT[orientation](pixels) if orientation in _UPRIGHT else pixels


def _open(data: bytes) -> Image.Image:
  try:
    return images.opened(io.BytesIO(data), _FORMATS)
  except UnidentifiedImageError as error:
    raise ValueError('is no JPG, PNG or WebP image') from error
  except images.TooLargeError:
    raise
  except _DAMAGED as error:
    raise ValueError('is damaged') from error


def _orientation(image: Image.Image) -> int | None:
  try:
    # Of the header: a PNG's own `getexif` decodes all of it to look for more
    # behind the pixels.
    return Image.Image.getexif(image).get(_ORIENTATION)
  except _DAMAGED:  # of Exif, not of the photo: viewers show it, too
    return None


def _stored(image: Image.Image, data: bytes) -> np.ndarray:
  """Decodes an image as it is stored: uint8 [H, W, 3], not turned."""
  if image.format == 'PNG' and data[_PNG_BITS] == 16:
    image = _eight_bits(data)
  elif image.format in ('JPEG', 'MPO'):  # MPO: more photos behind the first
    if image.mode != 'CMYK':
      return images.decode_photo(data)
    if 'adobe' not in image.info:
      # Pillow takes all for Adobe's, which store 255 - ink.
      image = ImageChops.invert(image)
  return _on_white(image)


def _eight_bits(data: bytes) -> Image.Image:
  """Decodes a PNG of 16 bits; Pillow would clip grey and truncate colours."""
  # Its checksums; OpenCV's decoder would print what is wrong.
  images.opened(io.BytesIO(data), ['PNG']).verify()
  pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
  if pixels is None:
    raise ValueError('is damaged')
  pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)  # rounds
  if pixels.ndim == 2:  # [H, W]
    return Image.fromarray(pixels)
  if pixels.shape[2] == 3:
    return Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
  return Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))


def _on_white(image: Image.Image) -> np.ndarray:
  if not image.has_transparency_data:
    return np.array(image.convert('RGB'))
  image = image.convert('RGBA')
  white = Image.new('RGB', image.size, 'white')
  white.paste(image, mask=image)
  return np.array(white)
