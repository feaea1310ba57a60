"""ICC profiles of primaries and curves, from their bytes and to them.

Cameras and screens have such profiles (ICC.1:2010, F.3, "three-component
matrix-based"): a curve leads from each number to light, and a matrix from the
light of red, green and blue to the colour.
"""

import struct
from typing import NamedTuple

import numpy as np

_HEADER = 128  # bytes
_COLOURS = (b'r', b'g', b'b')  # how names of tags begin
_D50 = np.array([0.9642, 1, 0.8249])  # the white of all profiles

# To that white from another (annex E).
_BRADFORD = np.array([
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
])  # fmt: skip

# Parametric curves (10.16): how many of g, a, b, c, d, e and f a kind has, and
# what the others are.
_COUNTS = (1, 3, 4, 5, 7)
_STRAIGHT = (1, 1, 0, 0, 0, 0, 0)


class Primaries(NamedTuple):
  """What a profile of primaries holds."""

  xyz: np.ndarray | None  # [3, 3]: X, Y and Z of red, green, blue; not of grey
  curves: list[np.ndarray]  # float32 [65536] each: light, 0..1, by the number


def write(chromaticities: np.ndarray, gamma: float) -> bytes:
  """Returns the profile of primaries and a gamma.

  Args:
    chromaticities: CIE's x and y of white, red, green and blue, 8 numbers.
    gamma: light is a number, 0..1, to this power.

  Raises:
    ValueError: there are no such colours.
  """
  x, y = np.reshape(chromaticities, (4, 2)).T
  try:
    with np.errstate(all='raise'):
      white, *colours = np.stack([x, y, 1 - x - y], -1) / y[:, None]
      matrix = np.transpose(colours)
      matrix = matrix * np.linalg.solve(matrix, white)
      scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    matrix = np.linalg.solve(_BRADFORD, scale[:, None] * (_BRADFORD @ matrix))
    curve = struct.pack('>4s4xIHxx', b'curv', 1, round(256 * gamma))
    tags = {b'wtpt': _xyz(_D50)}
    for name, column in zip(_COLOURS, matrix.T, strict=True):
      tags |= {name + b'XYZ': _xyz(column), name + b'TRC': curve}
  except (FloatingPointError, np.linalg.LinAlgError, struct.error) as error:
    raise ValueError('no primaries') from error
  table, content = struct.pack('>I', len(tags)), b''
  start = _HEADER + 4 + 12 * len(tags)
  for name, tag in tags.items():
    table += struct.pack('>4sII', name, start + len(content), len(tag))
    content += tag
  header = struct.pack(
    '>I4xI4s4s4s12x4s28x12s48x', start + len(content), 0x02400000,
    b'mntr', b'RGB ', b'XYZ ', b'acsp', _xyz(_D50)[8:],
  )  # fmt: skip
  return header + table + content


def _xyz(values):
  fixed = np.rint(65536 * np.asarray(values)).astype(int)
  return b'XYZ \0\0\0\0' + struct.pack('>3i', *fixed)


def read(profile: bytes) -> Primaries | None:
  """Reads a profile, RGB's or grey's.

  Args:
    profile: its bytes, of which a library has read the rest.

  Returns:
    What it holds; None where it is of another kind.
  """
  try:
    tags = _tags(profile)
    if profile[16:20] == b'GRAY':
      return Primaries(None, [_curve(tags[b'kTRC'])])
    if b'A2B0' in tags:  # a table, which counts then
      return None
    xyz = [np.frombuffer(tags[x + b'XYZ'], '>i4', 3, 8) for x in _COLOURS]
    curves = [_curve(tags[x + b'TRC']) for x in _COLOURS]
  except (KeyError, ValueError, IndexError, struct.error):
    return None
  return Primaries(np.divide(xyz, 65536), curves)


def _tags(profile):
  (count,) = struct.unpack_from('>I', profile, _HEADER)
  tags = {}
  for number in range(count):
    place = _HEADER + 4 + 12 * number
    name, start, size = struct.unpack_from('>4sII', profile, place)
    tags[name] = profile[start : start + size]
  return tags


def _curve(tag):
  """Returns float32 [65536]."""
  x = np.linspace(0, 1, 65536)
  if tag[:4] == b'curv':
    (count,) = struct.unpack_from('>I', tag, 8)
    points = np.frombuffer(tag, '>u2', count, 12)
    if count > 1:
      found = np.interp(x, np.linspace(0, 1, count), points / 65535)
    else:
      found = x ** (points[0] / 256) if count else x
  else:
    found = _parametric(tag, x)
  return found.astype(np.float32)


def _parametric(tag, x):
  (kind,) = struct.unpack_from('>H', tag, 8)
  count = _COUNTS[kind]
  given = np.frombuffer(tag, '>i4', count, 12) / 65536
  g, a, b, c, d, e, f = [*given, *_STRAIGHT[count:]]
  if kind in (1, 2):  # whose c is where the curve starts from
    c, d, e, f = 0, -b / a, c, c
  power = np.maximum(a * x + b, 0) ** g + e
  return np.clip(np.where(x >= d, power, c * x + f), 0, 1)
