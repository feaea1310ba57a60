"""Encodes masks, and pictures for people as PNG, WebP and JPG.

The pictures say that they are sRGB: a viewer then need not guess, on screens
that show more colours than sRGB.
"""

import functools
import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from carvana_jax.datasets import colour_profiles, images
from carvana_jax.system.errors import UserError

_PNG_HEADER = 33  # bytes: the signature and the first chunk
_PERCEPTUAL = b'\0'  # the intent, for photos
_WEBP_QUALITY, _JPEG_QUALITY = 90, 95  # 0..100
_WEBP_SIDE, _JPEG_SIDE = 16383, 65500  # pixels, of the encoders


def mask(mask: np.ndarray) -> bytes:
  """Encodes a mask, bool [H, W], as PNG of one bit."""
  flags = [cv2.IMWRITE_PNG_BILEVEL, 1]
  return cv2.imencode('.png', images.mask_pixels(mask), flags)[1].tobytes()


def png(picture: np.ndarray) -> bytes:
  """Encodes a picture, uint8 [H, W, 4] in RGBA, as PNG with an sRGB chunk."""
  fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
  pixels = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
  data = cv2.imencode('.png', pixels, fast)[1].tobytes()
  chunk = b'sRGB' + _PERCEPTUAL
  chunk = struct.pack('>I', 1) + chunk + struct.pack('>I', zlib.crc32(chunk))
  return data[:_PNG_HEADER] + chunk + data[_PNG_HEADER:]


def webp(picture: np.ndarray) -> bytes:
  """Encodes a picture as WebP with the ICC profile of sRGB.

  Args:
    picture: uint8 [H, W, 4], RGBA; its alpha is kept exactly.

  Returns:
    The bytes of the file.

  Raises:
    UserError: the picture is too large for the format. The message is to follow
      the photo's name.
  """
  _refuse_larger(picture, _WEBP_SIDE, 'WebP')
  file = io.BytesIO()
  Image.fromarray(picture).save(
    file, 'WEBP', quality=_WEBP_QUALITY, icc_profile=_profile()
  )
  return file.getvalue()


def jpeg(picture: np.ndarray) -> bytes:
  """Encodes a picture as JPG with the ICC profile of sRGB.

  Args:
    picture: uint8 [H, W, 3], RGB.

  Returns:
    The bytes of the file.

  Raises:
    UserError: as `webp`.
  """
  _refuse_larger(picture, _JPEG_SIDE, 'JPG')
  pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
  options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
  data = cv2.imencode('.jpg', pixels, options)[1].tobytes()
  # Behind JFIF's segment, which comes first. The profile is number 1 of 1.
  start = 4 + int.from_bytes(data[4:6])
  content = b'ICC_PROFILE\0\1\1' + _profile()
  segment = b'\xff\xe2' + struct.pack('>H', 2 + len(content)) + content
  return data[:start] + segment + data[start:]


def _refuse_larger(picture, side, kind):
  height, width = picture.shape[:2]
  if max(height, width) > side:
    raise UserError(
      f'is {height}x{width}, but a {kind} has at most {side} pixels a side; '
      'make it smaller.'
    )


@functools.cache
def _profile() -> bytes:
  return colour_profiles.srgb()
