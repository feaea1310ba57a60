"""Decodes photos to what people see, whatever made the file.

Data sets hold photos of one kind, which `datasets.images` decodes; users have
phones, scanners and web sites: photos that lie on their side, are transparent,
grey, animated, of 16 bits, of printers' inks, of other colours or not whole.
"""

import functools
import importlib.util
import io
import struct
from collections.abc import Callable
from typing import IO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from carvana_jax.datasets import colour_profiles, images
from carvana_jax.system import image_libraries

_HEIC_ENDINGS = ('.heic', '.heif', '.hif')
_HEIC_REMEDY = 'pip install pillow-heif'
_HAS_HEIC = importlib.util.find_spec('pillow_heif') is not None

# How names of files end that can be decoded here, in small letters; and of
# others, what they need.
ENDINGS = (
  '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.tif', '.tiff', '.bmp',
  '.avif',
) + (_HEIC_ENDINGS if _HAS_HEIC else ())  # fmt: skip
LACKING = dict.fromkeys(() if _HAS_HEIC else _HEIC_ENDINGS, _HEIC_REMEDY)

# Pillow's names of formats, with the ending that goes with each.
ENDING_OF = {
  'JPEG': '.jpg',
  'PNG': '.png',
  'WEBP': '.webp',
  'TIFF': '.tif',
  'BMP': '.bmp',
  'AVIF': '.avif',
  'HEIF': '.heic',
}
# How files of most of them begin. Other files may begin with RIFF or BM, too.
_BEGINNINGS = {
  b'\xff\xd8\xff': 'JPEG',
  b'\x89PNG\r\n\x1a\n': 'PNG',
  b'RIFF': 'WEBP',
  b'II*\0': 'TIFF',
  b'MM\0*': 'TIFF',
  b'II+\0': 'TIFF',
  b'MM\0+': 'TIFF',
  b'BM': 'BMP',
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes
HEAD = 256  # bytes that tell a format; no list of brands is longer
_AVIF_BRANDS = {b'avif', b'avis'}
_HEIC_BRANDS = {
  b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'hevm', b'hevs',
  b'mif1', b'msf1',
}  # fmt: skip

# What Pillow raises for damaged files; of libheif's errors it makes others.
DAMAGED = (
  OSError, EOFError, ValueError, SyntaxError, RuntimeError, struct.error,
  cv2.error,
)  # fmt: skip

# From the stored pixels to the upright ones, by Exif's tag 274 (Exif 2.32,
# section 4.6.4); 1 and what is not in the standard leave them as they are.
_ORIENTATION = 274
ACROSS = (5, 6, 7, 8)  # which exchange height and width
_UPRIGHT = {
  2: lambda pixels: cv2.flip(pixels, 1),
  3: lambda pixels: cv2.flip(pixels, -1),
  4: lambda pixels: cv2.flip(pixels, 0),
  5: cv2.transpose,
  6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
  7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
  8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_LYING = range(5, 9)  # height and width change places

_PNG_BITS, _PNG_COLOURS = 24, 25  # where a PNG tells bits and kind of samples
_GREY_AND_OPACITY = 4  # such a kind
_PNG_CHUNKS = (b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'IEND')  # of its pixels
_BITS, _PHOTOMETRIC, _PLANES = 258, 262, 284  # tags of TIFF
_WHITE_IS_ZERO = 0


def decode(
  data: bytes, complain: Callable[[str], None] = lambda text: None
) -> np.ndarray:
  """Decodes a photo as a viewer shows it, in sRGB.

  What is transparent becomes white, 16 bits become 8, and the first frame or
  page counts. A JPG that Exif does not turn has exactly the pixels of
  `images.decode_photo`, which networks learn from.

  Args:
    data: the file's bytes; its name does not matter.
    complain: called with the decoder's words where it had to guess, as some
      bytes of a JPG are wrong.

  Returns:
    uint8 [H, W, 3], RGB, upright.

  Raises:
    ValueError: the photo is damaged, too large or of another format; the
      message, such as 'is damaged', is to be put after the photo's name.
  """
  image = _open(data)
  orientation = turned_by(image)
  try:
    if image.format in ('JPEG', 'MPO'):  # MPO: more photos behind the first
      pixels, complaint = images.decode_jpeg(data)
      if complaint:
        complain(complaint)
    else:
      pixels = _stored(image, data)
  except DAMAGED as error:
    raise ValueError('is damaged') from error
  return upright(pixels, orientation)


def of_image(image: Image.Image) -> np.ndarray:
  """As `decode`, of what Pillow has opened or made.

  Args:
    image: of any mode. Of 16 bits a colour, Pillow itself leaves 8.

  Raises:
    ValueError: as `decode`, or it has no pixels.
  """
  _refuse_unusual(image)
  if not all(image.size):
    raise ValueError('has no pixels')
  try:
    return upright(_stored(image), turned_by(image))
  except DAMAGED as error:
    raise ValueError('is damaged') from error


def orientation_of(data: bytes) -> int:
  """Tells how a photo is stored.

  Args:
    data: the file's bytes.

  Returns:
    1 to 8, Exif's orientation: 1 if the photo is stored upright.

  Raises:
    ValueError: as `decode`.
  """
  return stored_as(_open(data))


def stored_as(image: Image.Image) -> int:
  """Returns 1 to 8, Exif's orientation of an image that is not yet decoded."""
  try:
    # Of the header: a PNG's own `getexif` decodes all of it to look for more
    # behind the pixels.
    orientation = Image.Image.getexif(image).get(_ORIENTATION)
  except DAMAGED:  # of Exif, not of the photo: viewers show it, too
    return 1
  return orientation if orientation in _UPRIGHT else 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Returns decoded pixels as Exif's orientation, 1 to 8, has them shown."""
  return _UPRIGHT[orientation](pixels) if orientation in _UPRIGHT else pixels


def size_of(stream: IO[bytes]) -> tuple[int, int]:
  """Reads the size of a photo from its header.

  Args:
    stream: the file.

  Returns:
    (H, W) of what `decode` returns.

  Raises:
    ValueError: as `decode`, where the header tells.
  """
  image = _open_stream(stream)
  width, height = image.size
  is_lying = turned_by(image) in _LYING
  return (width, height) if is_lying else (height, width)


def _open(data: bytes) -> Image.Image:
  return _open_stream(io.BytesIO(data))


def _open_stream(stream: IO[bytes]) -> Image.Image:
  kind = kind_of(stream.read(HEAD))
  stream.seek(0)
  if kind == 'HEIF':
    _register_heic()
  try:
    image = images.opened(stream, [kind] if kind else [])
  except UnidentifiedImageError as error:
    if kind == 'TIFF':
      reason = 'is damaged, or a TIFF of a rare kind (8 bits a colour are safe)'
    elif kind in ('AVIF', 'HEIF'):
      reason = 'is damaged'
    else:
      reason = 'is no JPG, PNG, WebP, TIFF, BMP, AVIF or HEIC image'
    raise ValueError(reason) from error
  except images.TooLargeError:
    raise
  except DAMAGED as error:
    raise ValueError('is damaged') from error
  _refuse_unusual(image)
  return image


def kind_of(data: bytes) -> str | None:
  """Tells a file's format by its content.

  Args:
    data: the file's bytes, or the first `HEAD` of them.

  Returns:
    A key of `ENDING_OF`, None where it is of none of these formats.
  """
  if data[4:8] == b'ftyp':  # brands: the main one, a version, all of them
    box = data[8 : min(int.from_bytes(data[:4]), HEAD)]
    brands = {box[at : at + 4] for at in range(0, len(box), 4)}
    if brands & _AVIF_BRANDS:
      return 'AVIF'
    return 'HEIF' if brands & _HEIC_BRANDS else None
  found = (x for start, x in _BEGINNINGS.items() if data.startswith(start))
  kind = next(found, None)
  if kind == 'WEBP' and data[8:12] != b'WEBP':
    return None
  if (
    kind == 'BMP' and int.from_bytes(data[14:18], 'little') not in _BMP_HEADERS
  ):
    return None
  return kind


def _refuse_unusual(image: Image.Image) -> None:
  if image.mode in ('F', 'I'):
    raise ValueError('has numbers of 32 bits or with a sign, not of 8 or 16')
  if image.format == 'TIFF':
    bits = image.tag_v2.get(_BITS, (1,))
    # Neither Pillow nor OpenCV gets these right.
    if bits[0] == 16 and len(bits) > 1 and image.tag_v2.get(_PLANES) == 2:
      raise ValueError('has 16 bits a colour, each colour by itself')


@functools.cache
def _register_heic() -> None:
  """Tells Pillow of a package that not everyone has.

  Raises:
    ValueError: it is not there.
  """
  if not _HAS_HEIC:
    raise ValueError(f'is a HEIC image, which needs: {_HEIC_REMEDY}')
  import pillow_heif  # here, as it is optional

  pillow_heif.register_heif_opener()


def turned_by(image: Image.Image) -> int:
  """Returns by which orientation decoded pixels are still to be turned."""
  # TIFF's decoders turn them themselves.
  return 1 if image.format == 'TIFF' else stored_as(image)


def _stored(image: Image.Image, data: bytes | None = None) -> np.ndarray:
  """Returns an image as stored.

  Args:
    image: of a file that is no JPG, if there are data.
    data: the file's bytes; None: the pixels are as Pillow has them.

  Returns:
    uint8 [H, W, 3], sRGB, not turned.
  """
  profile = colour_profiles.of(image)
  image_libraries.libtiff_failed()  # before
  with images.without_pillows_limit:  # which Pillow also has for TIFF's pixels
    image.load()
  if image_libraries.libtiff_failed():
    raise ValueError('libtiff has found an error')
  if _is_deep(image, data):
    pixels, opacity = _deep_pixels(image, data)
    return _on_white(colour_profiles.deep_to_srgb(pixels, profile), opacity)
  opacity, is_bmp = None, image.format == 'BMP'
  if image.has_transparency_data:
    opaque = 'L' if image.mode in ('L', 'LA') else 'RGB'
    image = image.convert('RGBA')
    opacity = np.asarray(image.getchannel('A'))
    if is_bmp and not opacity.any():
      opacity = None  # as in browsers, since many programs leave it 0
    image = image.convert(opaque)
  elif image.mode == '1':
    image = image.convert('L')
  elif image.mode not in ('L', 'CMYK', 'LAB'):
    image = image.convert('RGB')
  return _on_white(np.array(colour_profiles.to_srgb(image, profile)), opacity)


def _is_deep(image: Image.Image, data: bytes | None) -> bool:
  """Whether there are 16 bits, which Pillow would cut, not round."""
  if data is None:
    return image.mode.startswith('I;16')
  if image.format == 'PNG':
    return data[_PNG_BITS] == 16
  if image.format == 'TIFF':
    return image.tag_v2.get(_BITS, (1,))[0] == 16 and image.mode != 'CMYK'
  return False


def _deep_pixels(
  image: Image.Image, data: bytes
) -> tuple[np.ndarray, np.ndarray | None]:
  """Decodes 16 bits.

  Returns:
    uint16 [H, W] or [H, W, 3], grey or RGB; and the opacity, uint8 [H, W], or
    None.
  """
  if image.mode.startswith('I;16'):
    pixels = np.asarray(image).astype(np.uint16)
    if image.format == 'TIFF':
      is_white_0 = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
      return (65535 - pixels if is_white_0 else pixels), None
    if 'transparency' not in image.info:
      return pixels, None
    return pixels, images.mask_pixels(pixels != image.info['transparency'])
  is_png = image.format == 'PNG'
  if is_png:
    # Checksums, which Pillow passes over when it decodes.
    images.opened(io.BytesIO(data), ['PNG']).verify()
    data = _without_words(data)
  pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
  if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
    raise ValueError('OpenCV does not know it')
  opacity = None
  if pixels.shape[2] == 4:
    opacity = cv2.convertScaleAbs(pixels[..., 3], alpha=1 / 257)  # rounds
  if is_png and data[_PNG_COLOURS] == _GREY_AND_OPACITY:
    return pixels[..., 0], opacity
  return cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2RGB), opacity


def _without_words(png: bytes) -> bytes:
  """Returns a PNG's pixels alone; libpng prints what is odd in other chunks."""
  kept, at = [png[:8]], 8
  while at < len(png):
    end = at + 12 + int.from_bytes(png[at : at + 4])
    if png[at + 4 : at + 8] in _PNG_CHUNKS:
      kept.append(png[at:end])
    at = end
  return b''.join(kept)


def _on_white(pixels: np.ndarray, opacity: np.ndarray | None) -> np.ndarray:
  if opacity is None:
    return pixels
  white = Image.new('RGB', pixels.shape[1::-1], 'white')
  white.paste(Image.fromarray(pixels), mask=Image.fromarray(opacity))
  return np.array(white)
