"""Which values a mask holds, how often, and where."""

import collections
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from carvana_jax.datasets.folder import mask_files
from carvana_jax.datasets.folder.mask_files import GREY, Stored

# Of the distance between background and object: values that are nearer to one
# of them count as it.
NEAR = 1 / 16
# More colours than that are no labels.
_MOST_COLOURS = 4096
# How far a border may blur: pixels where there are few levels; where they are
# many, pixels, as of JPG's blocks, or a share of the longer side, as of hair.
_MANY, _FEW_REACH, _REACH, _SHARE = 32, 2, 8, 1 / 50
_LEAST_CONTRAST = 24  # levels of 0..255 from background to object


class Values(NamedTuple):
  """What is kept of a mask, or of a part of it.

  Attributes:
    counts: pixels by the keys of `mask_files`.
    edges: the same, of the outermost pixels.
    between: how many values are near neither of its two most frequent ones.
    beside: how many of these have both of them near by.
  """

  counts: dict[int, int]
  edges: dict[int, int]
  between: int = 0
  beside: int = 0


class Survey(NamedTuple):
  """What is kept of a mask's file.

  Attributes:
    kind: depth of its values: 'lossy', 'deep' (16 bits) or ''.
    values: of its pixels.
    alpha: of its alpha; None where there is none.
    indexes: the keys of a palette's indexes that are used.
    opaque: those of such indexes that are not transparent.
  """

  kind: str
  values: Values
  alpha: Values | None
  indexes: dict[int, int]
  opaque: set[int]


def survey(stored: Stored) -> Survey:
  """Counts a mask's values."""
  pixels, alpha, indexes, opaque = stored.pixels, None, {}, set()
  kind = 'lossy' if stored.is_lossy else ''
  if pixels.dtype == np.uint16:
    kind = 'deep'
  if stored.alpha is not None:
    alpha = _values(stored.alpha, None, False)
  if stored.has_palette:
    used = np.unique(pixels)
    indexes = dict(zip(used.tolist(), stored.keys[used].tolist(), strict=True))
    if alpha is not None:
      opaque = {indexes[x] for x in np.unique(pixels[stored.alpha > 0])}
  values = _values(pixels, stored.keys, stored.is_lossy)
  return Survey(kind, values, alpha, indexes, opaque)


def total(found: list[dict[int, int]]) -> collections.Counter:
  """Returns the sum of counts."""
  counts = collections.Counter()
  for x in found:
    counts.update(x)
  return counts


def levels(counts: dict[int, int]) -> np.ndarray:
  """Returns how many pixels have each rounded luminance, int64 [256]."""
  keys = np.fromiter(counts, np.int64, len(counts))
  numbers = np.fromiter(counts.values(), np.int64, len(counts))
  light = np.rint(mask_files.luminance(keys)).astype(int)
  return np.bincount(light, numbers, minlength=256).astype(np.int64)


def ends(levels: np.ndarray) -> tuple[int, int] | None:
  """Returns the two most frequent levels, the darker one first.

  Args:
    levels: how many pixels have each, int64 [256].

  Returns:
    The levels, None where all are much alike.
  """
  smooth = np.convolve(levels, np.ones(5), 'same')
  found = []
  for _ in range(2):
    middle = int(smooth.argmax())
    if not smooth[middle]:
      return None
    low = max(0, middle - 2)
    found.append(low + int(levels[low : middle + 3].argmax()))
    low = max(0, middle - _LEAST_CONTRAST)
    smooth[low : middle + _LEAST_CONTRAST + 1] = 0
  return min(found), max(found)


def _values(pixels, keys, is_lossy):
  sides = pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]
  edges = _counts(np.concatenate(sides)[None], keys)
  counts = _counts(pixels, keys)
  if len(counts) < 3:
    return Values(counts, edges)
  has_many = is_lossy or len(counts) >= _MANY
  return Values(counts, edges, *_between(brightness(pixels, keys), has_many))


def brightness(pixels: np.ndarray, keys: np.ndarray | None) -> np.ndarray:
  """Returns the luminance of a mask's pixels, uint8 [H, W].

  Args:
    pixels: as in `Stored`.
    keys: as in `Stored`; None for levels of grey.
  """
  if pixels.ndim == 3:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
  if pixels.dtype == np.uint16:
    return cv2.convertScaleAbs(pixels, alpha=1 / GREY)
  if keys is None:
    return pixels
  return cv2.LUT(pixels, np.rint(mask_files.luminance(keys)).astype(np.uint8))


def _counts(pixels, keys):
  """Returns {key: pixels} of [H, W] or [H, W, 3]."""
  if pixels.ndim == 3:
    colours = Image.fromarray(pixels).getcolors(_MOST_COLOURS)
    if colours is not None:
      return {mask_files.key_of(colour): x for x, colour in colours}
    pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
  if pixels.dtype == np.uint16:
    found = np.bincount(pixels.ravel(), minlength=1)
    return {int(x): int(found[x]) for x in np.flatnonzero(found)}
  return _greys(pixels, keys)


def _greys(pixels, keys):
  found = cv2.calcHist([pixels], [0], None, [256], [0, 256]).ravel()
  counts = collections.Counter()
  for value in np.flatnonzero(found).tolist():
    key = GREY * value if keys is None else int(keys[value])
    counts[key] += int(found[value])
  return counts


def _between(light, has_many):
  """Returns how many values lie between the ends, and beside both."""
  found = ends(cv2.calcHist([light], [0], None, [256], [0, 256]).ravel())
  if found is None:
    return 0, 0
  low, high = found
  step = round((high - low) * NEAR)
  reach = _FEW_REACH
  if has_many:
    reach = max(_REACH, round(_SHARE * max(light.shape)))
  kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
  is_low = cv2.inRange(light, low - step, low + step)
  is_high = cv2.inRange(light, high - step, high + step)
  between = cv2.bitwise_not(cv2.bitwise_or(is_low, is_high))
  beside = cv2.bitwise_and(between, cv2.dilate(is_low, kernel))
  beside = cv2.bitwise_and(beside, cv2.dilate(is_high, kernel))
  return cv2.countNonZero(between), cv2.countNonZero(beside)
