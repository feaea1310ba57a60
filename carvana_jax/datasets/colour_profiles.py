"""Colours as a file means them -> sRGB, by littleCMS, which Pillow brings.

What numbers mean is told by a profile: cameras and phones write Adobe RGB,
Display P3 or ProPhoto RGB, printers inks. Networks, screens and outputs have
sRGB, and a file without a profile is taken for it.

The intent is perceptual, which printers' profiles make for photos, and the
default of littleCMS and Pillow. Profiles of a matrix, which cameras and screens
have, know no other.
"""

import functools
import io
import struct
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms

_ROUNDING = 1  # levels; what changes no colour by more is sRGB already
_STEP = 15  # levels between the colours that are tried for that
_ROWS = 256  # of a photo of 16 bits, at a time

# Modes of images, in Pillow's names, by the colour space of a profile.
_MODES = {'RGB': ('RGB', 'L'), 'GRAY': ('L',), 'CMYK': ('CMYK',)}

# CIE's x and y of white, red, green and blue.
_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_SRGB_GAMMA, _ADOBE_GAMMA = 2.2, 563 / 256
_UNCALIBRATED = 0xFFFF  # Exif's word for a colour space that is not sRGB

# A PNG this near to sRGB is sRGB, as it is for libpng.
_GAMMA_ROUNDING, _CHROMATICITY_ROUNDING = 0.05, 0.01

# To the white of profiles (ICC.1:2010, annex E).
_D50 = np.array([0.9642, 1, 0.8249])
_BRADFORD = np.array([
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
])  # fmt: skip


class _Conversion(NamedTuple):
  """What a profile stands for: its colour space, and the way to sRGB.

  There is no way where the profile can't be used, or is sRGB's own.
  """

  space: str
  transform: ImageCms.ImageCmsTransform | None


def srgb() -> bytes:
  """Returns the ICC profile of sRGB, for files that are written."""
  profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
  # Without its date, so that equal pictures make equal files.
  return profile[:24] + bytes(12) + profile[36:]


def of(image: Image.Image) -> bytes | None:
  """Returns the ICC profile of an image, or None where it is sRGB.

  Two more ways of telling colours become profiles: Exif's of cameras that are
  set to Adobe RGB (DCF 2.0), and a PNG's gamma and primaries.

  Args:
    image: the image, see `images.opened`; its pixels need not be decoded.
  """
  if profile := image.info.get('icc_profile'):
    return profile
  if image.format == 'PNG':
    return _of_png(image.info)
  if _is_adobe_by_exif(image):
    return _matrix_profile(_ADOBE, _ADOBE_GAMMA)
  return None


def _of_png(info):
  told = 'gamma' in info or 'chromaticity' in info
  if not told or 'srgb' in info:
    return None
  gamma = 1 / info['gamma'] if info.get('gamma') else _SRGB_GAMMA
  primaries = info.get('chromaticity', _SRGB)
  if abs(gamma / _SRGB_GAMMA - 1) < _GAMMA_ROUNDING and np.allclose(
    primaries, _SRGB, rtol=0, atol=_CHROMATICITY_ROUNDING
  ):
    return None
  try:
    return _matrix_profile(primaries, gamma)
  except (ZeroDivisionError, np.linalg.LinAlgError, struct.error):
    return None  # numbers of no meaning


def _is_adobe_by_exif(image):
  if 'exif' not in image.info:
    return False
  try:
    exif = Image.Image.getexif(image)
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    inter = exif.get_ifd(ExifTags.IFD.Interop)
  except Exception:  # of all kinds, and viewers don't mind damaged Exif
    return False
  return space == _UNCALIBRATED and inter.get(1) == 'R03'


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
  """Converts an image to sRGB.

  Args:
    image: of mode L, RGB, CMYK or LAB, in Pillow's names.
    profile: see `of`. One that can't be read, or belongs to another kind of
      image, is ignored, as viewers do.

  Returns:
    The image, of mode RGB. Without a profile, or with sRGB's own, grey and
    colours keep their bits.
  """
  if image.mode == 'LAB':
    return ImageCms.applyTransform(image, _of_lab())
  space, transform = _conversion(profile)
  if transform is None or image.mode not in _MODES[space]:
    return image.convert('RGB')
  if space == 'RGB':
    image = image.convert('RGB')
  return ImageCms.applyTransform(image, transform)


def deep_to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
  """Converts pixels of 16 bits to sRGB, with 8.

  Pillow hands littleCMS no more than 8 bits, too few for a large colour space.
  So the colours of 8 bits around each are converted, and mixed.

  Args:
    pixels: uint16 [H, W], grey, or [H, W, 3], RGB.
    profile: see `to_srgb`.

  Returns:
    uint8 [H, W, 3], RGB.
  """
  space, transform = _conversion(profile)
  if pixels.ndim == 2 and space == 'GRAY' and transform:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.asarray(ImageCms.applyTransform(ramp, transform))[0, :, 0]
    curve = np.interp(np.arange(65536) / 257, np.arange(256), levels)
    pixels = np.rint(curve).astype(np.uint8)[pixels]
    transform = None
  elif not transform or space != 'RGB':
    pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)  # rounds
  if pixels.ndim == 2:
    pixels = cv2.merge([pixels] * 3)
  if pixels.dtype == np.uint8:
    return pixels
  found = np.empty(pixels.shape, np.uint8)
  for top in range(0, len(pixels), _ROWS):
    rows = slice(top, top + _ROWS)
    found[rows] = _mixed(pixels[rows], transform)
  return found


def _mixed(pixels, transform):
  """Interpolates in the tetrahedron of converted colours around each pixel."""
  below = (pixels // 257).astype(np.uint8)
  share = (pixels % 257).astype(np.float32) / 257
  red, green, blue = cv2.split(share)
  # How many of a pixel's shares are larger, each 0, 1 or 2 once.
  rank = cv2.merge([
    np.add(green > red, blue > red, dtype=np.uint8),
    np.add(red >= green, blue > green, dtype=np.uint8),
    np.add(red >= blue, green >= blue, dtype=np.uint8),
  ])  # fmt: skip
  most, least = share.max(2), share.min(2)
  middle = red + green + blue - most - least
  total = 0
  for step, weight in enumerate(
    [1 - most, most - middle, middle - least, least]
  ):
    # 255 becomes 0, which has no weight.
    corner = Image.fromarray(below + (rank < step).view(np.uint8))
    colours = np.asarray(ImageCms.applyTransform(corner, transform))
    total += weight[..., None] * colours
  return np.rint(total)


@functools.lru_cache(maxsize=16)
def _conversion(profile: bytes | None) -> _Conversion:
  unusable = _Conversion('', None)
  if profile is None:
    return unusable
  try:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = opened.profile.xcolor_space.strip()
    if space not in _MODES:
      return unusable
    mode = _MODES[space][0]
    transform = ImageCms.buildTransform(
      opened, ImageCms.createProfile('sRGB'), mode, 'RGB'
    )
  except (OSError, ImageCms.PyCMSError):
    return unusable
  if mode != 'CMYK' and _changes_nothing(transform, mode):
    transform = None
  return _Conversion(space, transform)


def _changes_nothing(transform, mode):
  levels = np.arange(0, 256, _STEP, np.uint8)
  colours = np.stack(np.meshgrid(levels, levels, levels), -1)
  colours = colours.reshape(len(levels), -1, 3)
  image = Image.fromarray(colours if mode == 'RGB' else colours[..., 0])
  converted = np.asarray(ImageCms.applyTransform(image, transform))
  return cv2.norm(
    converted, np.asarray(image.convert('RGB')), cv2.NORM_INF
  ) <= (_ROUNDING)


@functools.cache
def _of_lab() -> ImageCms.ImageCmsTransform:
  return ImageCms.buildTransform(
    ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB'), 'LAB', 'RGB'
  )


def _matrix_profile(primaries, gamma):
  """Returns an ICC profile (ICC.1:2001-04) of primaries and a gamma."""
  x, y = np.reshape(primaries, (4, 2)).T
  white, *_ = colours = np.stack([x, y, 1 - x - y], -1) / y[:, None]
  matrix = colours[1:].T
  matrix = matrix * np.linalg.solve(matrix, white)
  scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
  matrix = np.linalg.solve(_BRADFORD, scale[:, None] * (_BRADFORD @ matrix))
  fixed = lambda xyz: struct.pack('>3i', *np.rint(65536 * xyz).astype(int))
  curve = struct.pack('>4sIIHxx', b'curv', 0, 1, round(256 * gamma))
  tags = {b'wtpt': b'XYZ \0\0\0\0' + fixed(_D50)}
  for name, column in zip((b'r', b'g', b'b'), matrix.T, strict=True):
    tags[name + b'XYZ'] = b'XYZ \0\0\0\0' + fixed(column)
    tags[name + b'TRC'] = curve
  table, body = struct.pack('>I', len(tags)), b''
  start = 128 + 4 + 12 * len(tags)
  for name, content in tags.items():
    table += struct.pack('>4sII', name, start + len(body), len(content))
    body += content
  header = struct.pack(
    '>IxxxxI4s4s4s12x4s28x12s48x', start + len(body), 0x02400000,
    b'mntr', b'RGB ', b'XYZ ', b'acsp', fixed(_D50),
  )  # fmt: skip
  return header + table + body
