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
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms

from carvana_jax.datasets import icc_files

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
    return icc_files.write(_ADOBE, _ADOBE_GAMMA)
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
    return icc_files.write(primaries, gamma)
  except ValueError:
    return None


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

  Pillow hands littleCMS no more than 8 bits, too few for the shadows of a large
  colour space. So what littleCMS does with primaries and curves is done here;
  of other profiles the 8 bits have to do.

  Args:
    pixels: uint16 [H, W], grey, or [H, W, 3], RGB.
    profile: see `to_srgb`.

  Returns:
    uint8 [H, W, 3], RGB.
  """
  grey = pixels.ndim == 2
  space, transform = _conversion(profile)
  usable = transform and (space == 'RGB' or (space == 'GRAY' and grey))
  known = icc_files.read(profile) if usable else None
  if known is None:
    levels = cv2.convertScaleAbs(pixels, alpha=1 / 257)  # rounds
    return np.array(to_srgb(Image.fromarray(levels), profile))
  if space == 'GRAY':
    levels = _levels(known.curves[0])[pixels]
    return cv2.merge([levels] * 3)
  if grey:
    pixels = cv2.merge([pixels] * 3)
  found = np.empty(pixels.shape, np.uint8)
  matrix = np.linalg.solve(_srgb().xyz.T, known.xyz.T)
  for top in range(0, len(pixels), _ROWS):
    rows = slice(top, top + _ROWS)
    channels = zip(known.curves, cv2.split(pixels[rows]), strict=True)
    light = cv2.merge([curve[channel] for curve, channel in channels])
    found[rows] = _levels(cv2.transform(light, matrix))
  return found


def _levels(light):
  """Light -> levels of sRGB, uint8."""
  return _level_of_light()[np.rint(65535 * np.clip(light, 0, 1)).astype(int)]


@functools.cache
def _level_of_light() -> np.ndarray:
  """Returns uint8 [65536]."""
  light = np.linspace(0, 1, 65536)
  stored = np.interp(light, _srgb().curves[0], light)
  return np.rint(255 * stored).astype(np.uint8)


@functools.cache
def _srgb() -> icc_files.Primaries:
  return icc_files.read(srgb())


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
    # Of 256 levels, littleCMS need not save time at the cost of the darkest.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == 'L' else ImageCms.Flags.NONE
    transform = ImageCms.buildTransform(
      opened, ImageCms.createProfile('sRGB'), mode, 'RGB', flags=flags
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
  change = cv2.absdiff(converted, np.asarray(image.convert('RGB')))
  return change.max() <= _ROUNDING


@functools.cache
def _of_lab() -> ImageCms.ImageCmsTransform:
  return ImageCms.buildTransform(
    ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB'), 'LAB', 'RGB'
  )
