"""Files that photo tests need: named ones, profiles, TIFFs, garbled JPGs."""

import io
import os
import re
import struct

import numpy as np
from PIL import Image

# The colours of primaries for the white D50, X, Y and Z of red, green and blue,
# as in the published profiles; and the exponents of their curves.
SRGB = np.array([
  [0.43607, 0.22249, 0.01392],
  [0.38515, 0.71687, 0.09708],
  [0.14307, 0.06061, 0.71410],
])  # fmt: skip
ADOBE = np.array([
  [0.60974, 0.31111, 0.01947],
  [0.20528, 0.62567, 0.06087],
  [0.14919, 0.06322, 0.74457],
])  # fmt: skip
P3 = np.array([
  [0.51512, 0.24120, -0.00105],
  [0.29198, 0.69225, 0.04189],
  [0.15710, 0.06657, 0.78407],
])  # fmt: skip
PROPHOTO = np.array([
  [0.79767, 0.28804, 0.00000],
  [0.13519, 0.71188, 0.00000],
  [0.03134, 0.00009, 0.82491],
])  # fmt: skip
SPACES = {
  'adobe': (ADOBE, 563 / 256), 'p3': (P3, None), 'prophoto': (PROPHOTO, 1.8),
}  # fmt: skip


def add_pair(folder, name, photo, mask):
  """Writes uint8 pixels to photos/NAME.png and masks/NAME.png."""
  for kind, picture in (('photos', photo), ('masks', mask)):
    path = folder / kind / f'{name}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def add(folder, *names):
  """Writes files that hold their own names."""
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.fsencode(name))


def srgb_curve(linear):
  """Light, 0..1, as sRGB stores it (IEC 61966-2-1)."""
  linear = np.clip(linear, 0, 1)
  return np.where(
    linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
  )


def srgb_light(stored):
  """The inverse of `srgb_curve`."""
  stored = np.asarray(stored, float)
  return np.where(
    stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4
  )


def to_srgb(stored, primaries, gamma):
  """By hand: values 0..1 [..., 3] of a space -> levels of sRGB, 0..255."""
  light = srgb_light(stored) if gamma is None else np.power(stored, gamma)
  return 255 * srgb_curve(light @ primaries @ np.linalg.inv(SRGB))


def from_srgb(levels, primaries, gamma):
  """The way back: levels of sRGB -> values 0..1 of a space."""
  light = srgb_light(np.asarray(levels) / 255) @ SRGB @ np.linalg.inv(primaries)
  light = np.clip(light, 0, 1)
  return srgb_curve(light) if gamma is None else light ** (1 / gamma)


def rgb_profile(primaries, gamma):
  """ICC profile (version 2) of colours [3, 3] and a curve; None: sRGB's."""
  tags = {b'wtpt': _xyz([0.9642, 1, 0.8249])}
  for letter, colour in zip('rgb', primaries, strict=True):
    tags[f'{letter}XYZ'.encode()] = _xyz(colour)
    tags[f'{letter}TRC'.encode()] = _curve(gamma)
  return _profile(b'mntr', b'RGB ', b'XYZ ', tags)


def grey_profile(gamma):
  tags = {b'wtpt': _xyz([0.9642, 1, 0.8249]), b'kTRC': _curve(gamma)}
  return _profile(b'mntr', b'GRAY', b'XYZ ', tags)


def ink_profile():
  """Of a printer whose 16 mixtures of full inks are a little dull."""
  lab = []
  for inks in np.ndindex(2, 2, 2, 2):
    cyan, magenta, yellow, black = inks
    lightness = (95 - 30 * cyan - 35 * magenta - 8 * yellow) * (1 - 0.8 * black)
    shade = 1 - 0.9 * black
    a = shade * (-30 * cyan + 60 * magenta - 5 * yellow)
    b = shade * (-40 * cyan - 5 * magenta + 75 * yellow)
    lab.append([max(lightness, 0) * 2.55, a + 128, b + 128])
  straight = bytes(range(256))
  matrix = struct.pack('>9i', *np.eye(3, dtype=int).ravel() * 65536)
  table = np.rint(lab).astype(np.uint8).tobytes()
  lut = b'mft1\0\0\0\0' + bytes([4, 3, 2, 0]) + matrix
  lut += 4 * straight + table + 3 * straight
  tags = {b'wtpt': _xyz([0.9642, 1, 0.8249]), b'A2B0': lut}
  return _profile(b'prtr', b'CMYK', b'Lab ', tags)


def _xyz(values):
  fixed = np.rint(np.multiply(values, 65536)).astype(int)
  return b'XYZ \0\0\0\0' + struct.pack('>3i', *fixed)


def _curve(gamma):
  if gamma is None:
    points = np.rint(65535 * srgb_light(np.linspace(0, 1, 1024))).astype(int)
  else:
    points = [round(256 * gamma)]
  return struct.pack(f'>4s4xI{len(points)}H', b'curv', len(points), *points)


def _profile(kind, space, between, tags):
  table, content = struct.pack('>I', len(tags)), b''
  start = 132 + 12 * len(tags)
  for name, tag in tags.items():
    tag += bytes(-len(tag) % 4)
    place = start + len(content)
    table += struct.pack('>4sII', name, place, len(tag))
    content += tag
  header = struct.pack('>I4xI', start + len(content), 0x02100000)
  header += kind + space + between + bytes(12) + b'acsp'
  header = header.ljust(68, b'\0') + _xyz([0.9642, 1, 0.8249])[8:]
  return header.ljust(128, b'\0') + table + content


def tiff(
  pixels, photometric, order='<', orientation=1, icc=None, opacity=None,
  planes=1, more=(),
):  # fmt: skip
  """TIFF without compression (revision 6.0).

  Args:
    pixels: [H, W] or [H, W, C], of any type.
    photometric: 0 and 1 are grey, 2 RGB, 3 palette, 5 inks, 8 Lab.
    order: '<' or '>'.
    orientation: as in Exif.
    icc: profile.
    opacity: what the last channel is: 1 or 2, multiplied or not.
    planes: 2: each channel by itself.
    more: other tags, (number, type 3, values).
  """
  pixels = np.asarray(pixels)
  pixels = pixels[..., None] if pixels.ndim == 2 else pixels
  height, width, count = pixels.shape
  stored = pixels if planes == 1 else pixels.transpose(2, 0, 1)
  data = stored.astype(pixels.dtype.newbyteorder(order)).tobytes()
  parts = 1 if planes == 1 else count
  tags = [
    (256, 4, [width]), (257, 4, [height]),
    (258, 3, [8 * pixels.dtype.itemsize] * count), (259, 3, [1]),
    (262, 3, [photometric]),
    (273, 4, [8 + part * len(data) // parts for part in range(parts)]),
    (274, 3, [orientation]), (277, 3, [count]), (278, 4, [height]),
    (279, 4, [len(data) // parts] * parts), (284, 3, [planes]), *more,
  ]  # fmt: skip
  if opacity:
    tags.append((338, 3, [opacity]))
  tags.append((339, 3, ['?uif'.index(pixels.dtype.kind)] * count))
  if icc:
    tags.append((34675, 7, icc))
  start = 8 + len(data) + len(data) % 2
  behind = start + 2 + 12 * len(tags) + 4
  table, content = struct.pack(order + 'H', len(tags)), b''
  for number, kind, values in sorted(tags, key=lambda tag: tag[0]):
    letter = {3: 'H', 4: 'I', 7: 'B'}[kind]
    value = struct.pack(f'{order}{len(values)}{letter}', *values)
    if len(value) > 4:
      value += bytes(len(value) % 2)
      content += value
      value = struct.pack(order + 'I', behind + len(content) - len(value))
    table += struct.pack(order + 'HHI', number, kind, len(values))
    table += value.ljust(4, b'\0')
  beginning = b'II*\0' if order == '<' else b'MM\0*'
  beginning += struct.pack(order + 'I', start)
  return (beginning + data).ljust(start, b'\0') + table + bytes(4) + content


def garbled(jpeg):
  """A JPG with a marker among its pixels, which decoders pass over."""
  start = jpeg.index(b'\xff\xda') + 14  # of the pixels, or a part of them
  end = re.compile(rb'\xff[^\0]').search(jpeg, start).start()
  middle = (start + end) // 2
  return jpeg[:middle] + b'\xff\xd3' + jpeg[middle:]


def encode(image, kind, **options):
  stream = io.BytesIO()
  image.save(stream, kind, **options)
  return stream.getvalue()
