"""Encodes pictures for people as PNG, WebP and JPG, which say: this is sRGB.

A viewer then need not guess, on screens that show more colours than sRGB.
"""

import functools
import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from carvana_jax.datasets import colour_profiles

_PNG_HEADER = 33  # bytes: the signature and the first chunk
_PERCEPTUAL = b'\0'  # the intent, for photos


def png(picture: np.ndarray) -> bytes:
  """Encodes a picture, uint8 [H, W, 4] in RGBA, as PNG with an sRGB chunk."""
  fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
  pixels = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
  data = cv2.imencode('.png', pixels, fast)[1].tobytes()
  chunk = b'sRGB' + _PERCEPTUAL
  chunk = struct.pack('>I', 1) + chunk + struct.pack('>I', zlib.crc32(chunk))
  return data[:_PNG_HEADER] + chunk + data[_PNG_HEADER:]


def webp(picture: np.ndarray, quality: int) -> bytes:
  """Encodes a picture as WebP with the ICC profile of sRGB.

  Args:
    picture: uint8 [H, W, 4], RGBA; its alpha is kept exactly.
    quality: the quality of the colours, 0..100.

  Returns:
    The bytes of the file.
  """
  file = io.BytesIO()
  Image.fromarray(picture).save(
    file, 'WEBP', quality=quality, icc_profile=_profile()
  )
  return file.getvalue()


def jpeg(picture: np.ndarray, quality: int) -> bytes:
  """Encodes a picture, uint8 [H, W, 3] in RGB, as JPG with a profile of sRGB.

  Args:
    picture: uint8 [H, W, 3], RGB.
    quality: 0..100.

  Returns:
    The bytes of the file.
  """
  pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
  options = [cv2.IMWRITE_JPEG_QUALITY, quality]
  data = cv2.imencode('.jpg', pixels, options)[1].tobytes()
  # Behind JFIF's segment, which comes first. The profile is number 1 of 1.
  start = 4 + int.from_bytes(data[4:6])
  content = b'ICC_PROFILE\0\1\1' + _profile()
  segment = b'\xff\xe2' + struct.pack('>H', 2 + len(content)) + content
  return data[:start] + segment + data[start:]


@functools.cache
def _profile() -> bytes:
  return colour_profiles.srgb()
