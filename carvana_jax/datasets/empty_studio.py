"""The empty studio behind a car, from the views that show it.

Camera and background stand still while the turntable turns the car, so most of
what one view's car hides is seen in others. How a view differs from the empty
studio shows what first masks miss: aerials, mirrors, roofs before letters.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.system import threads

CHANNELS = 4  # of `difference`
MOST_VIEWS = 32  # that are held in memory together

_STRIPS = 64  # parts of the picture, which fit a core's cache

# A pixel from this probability on may be car, 0..255: a tenth.
_MAYBE_CAR = 26
# How far from such pixels a car's blurred border may reach, as a share of the
# width: 6 pixels of 1918. The wider, the less of the studio is known where it
# is needed: along the border 90 % with 6 pixels, 86 % with 12, 78 % with 24.
_MARGIN = 1 / 320

# When a view shows the same studio. Chosen by 7 cars of `train` and their
# photos, moved: of the 112 views all have slopes that agree to 0.94 or more and
# levels to 2; moved by one pixel a view has 0.83 or less, lit by a tenth more
# some 15 levels.
_SLOPES_AGREE = 0.9
_LEVELS_AGREE = 8
_SOME = slice(None, None, 3), slice(None, None, 3)  # enough for percentiles
_EDGES = 98  # percentile of the slopes from which on they are edges
# Without a view that doesn't fit, others may fit better. Mostly one is enough.
_ROUNDS = 4


class EmptyStudio(NamedTuple):
  """What the views of a car show of the studio behind it."""

  # uint8 [H, W, C], as the photos, 0 where no view shows it
  picture: np.ndarray
  count: np.ndarray  # int64 [H, W], how many views show each pixel
  covered: np.ndarray  # bool [V, H, W], where a view does not show the studio
  fits: np.ndarray  # bool [V], whether a view shows this studio at all


def find(
  photos: Sequence[np.ndarray],
  probabilities: Sequence[np.ndarray],
  slopes_agree: float = _SLOPES_AGREE,
) -> EmptyStudio | None:
  """Finds the empty studio in the views of one car.

  A view that was taken by another camera, or by one that has moved, or in
  another light, is noticed and left out; so is one of another size than most.

  Args:
    photos: uint8 [H, W, 3] each, or their luminance, [H, W, 1].
    probabilities: of car, as a network sees it, uint8 [H, W] each, 0..255.
    slopes_agree: how well the slopes of a view must agree with the studio's,
      up to 1.

  Returns:
    The studio; None unless two views or more agree about it.
  """
  if len(photos) < 2:
    return None
  sizes = [photo.shape for photo in photos]
  size = max(sizes, key=sizes.count)
  can_fit = np.array([x == size for x in sizes])
  alike = lambda pictures, size: np.stack(
    [
      x if fits else np.zeros(size, np.uint8)
      for x, fits in zip(pictures, can_fit, strict=True)
    ]
  )
  stack, probabilities = alike(photos, size), alike(probabilities, size[:2])
  margin = max(1, round(_MARGIN * stack.shape[2]))
  maybe = list(threads.ordered_map(lambda x: x >= _MAYBE_CAR, probabilities))
  covered = cover(maybe, margin)
  fits = can_fit
  for _ in range(_ROUNDS):
    hidden = covered | ~fits[:, None, None]
    picture, count = empty_studio(stack, hidden)
    found = can_fit & _fitting(stack, picture, covered, count, slopes_agree)
    if (found == fits).all():
      return EmptyStudio(picture, count, hidden, fits)
    fits = found
    if fits.sum() < 2:
      break
  return None


def difference(
  studio: EmptyStudio | None,
  view: int,
  photo: np.ndarray,
  part: tuple[slice, slice] = (slice(None), slice(None)),
) -> np.ndarray:
  """Compares a view with the empty studio, in the form that networks are given.

  Args:
    studio: see `find`.
    view: which of the views that were given there.
    photo: its pixels, uint8 [H, W, 3].
    part: which rows and columns are wanted.

  Returns:
    uint8 [h, w, 4]. Three channels are photo minus studio plus 128, within
    1..255; the fourth is 17 times the number of other views that show the
    pixel, 255 for 15 and more. All are 0 where no other view shows it, where
    the view doesn't fit, and where there is no studio.
  """
  cut = photo[part]
  if studio is None or not studio.fits[view]:
    return np.zeros((*cut.shape[:2], CHANNELS), np.uint8)
  others = studio.count[part] - ~studio.covered[view][part]
  change = cut.astype(np.int16) - studio.picture[part]
  change = np.clip(change + 128, 1, 255) * (others > 0)[..., None]
  views = 17 * np.minimum(others, 15)
  return np.concatenate([change, views[..., None]], -1).astype(np.uint8)


def _fitting(photos, picture, covered, count, slopes_agree):
  """Returns which views show the studio in the picture, bool [V]."""
  studio = _grey(picture)
  slopes = _slopes(studio)
  steep = np.hypot(*slopes)

  def fits(view):
    shown = (~covered[view] & (count > 1)).astype(np.uint8)
    # Slopes at the edge of what is known would be those of the edge.
    shown = cv2.erode(shown, np.ones((5, 5), np.uint8)) > 0
    if not shown[_SOME].any():
      return False
    photo = _grey(photos[view])
    some = shown[_SOME]
    if np.median(np.abs(photo - studio)[_SOME][some]) > _LEVELS_AGREE:
      return False
    edges = shown & (steep >= np.percentile(steep[_SOME][some], _EDGES))
    own = _slopes(photo)[:, edges].ravel()
    other = slopes[:, edges].ravel()
    norms = np.linalg.norm(own) * np.linalg.norm(other)
    if not norms:  # walls without a slope
      return not own.any() and not other.any()
    return own @ other >= slopes_agree * norms

  return np.array(list(threads.ordered_map(fits, range(len(photos)))))


def _grey(photo):
  if photo.shape[2] == 1:
    return photo[..., 0].astype(np.float32)
  return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _slopes(grey):
  """Returns the slopes across and down, float32 [2, H, W], levels a pixel."""
  slope = lambda *order: cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8)
  return np.stack([slope(1, 0), slope(0, 1)])


def empty_studio(
  photos: np.ndarray, covered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the median of what is not covered, pixel by pixel.

  Of an even number of values the median is the mean of the two in the middle,
  rounded to the nearest integer, and to the even one of two as near.

  Args:
    photos: uint8 [V, H, W, C], two or more views with one camera.
    covered: bool [V, H, W], where a view does not show the studio, see `cover`.

  Returns:
    The picture, uint8 [H, W, C], which is 0 where every view is covered; and
    how many views show each pixel, int64 [H, W].
  """
  strips = zip(
    np.array_split(photos, _STRIPS, axis=1),
    np.array_split(covered, _STRIPS, axis=1),
    strict=True,
  )
  medians = threads.ordered_map(lambda strip: _median(*strip), strips)
  return np.concatenate(list(medians)), np.sum(~covered, axis=0)


def cover(masks: Sequence[np.ndarray], margin: int) -> np.ndarray:
  """Returns where cars and their surroundings hide the studio.

  Args:
    masks: bool [H, W] of each view.
    margin: how far from a car its shadow and its blurred border may reach, in
      pixels.

  Returns:
    bool [V, H, W].
  """
  size = 2 * margin + 1
  disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
  widen = lambda mask: cv2.dilate(mask.view(np.uint8), disc) > 0
  return np.stack(list(threads.ordered_map(widen, masks)))


def _median(photos: np.ndarray, covered: np.ndarray) -> np.ndarray:
  """Returns the median of what is not covered, see `empty_studio`."""
  # Of what is covered every other value becomes 255, the first one too, and the
  # rest 0. So the middle of all values is that of those that are not covered.
  count, height, width, channels = photos.shape
  odd = np.zeros((height, width * channels), np.uint8)  # 255: covered so often
  values = []
  for photo, hidden in zip(photos, covered, strict=True):
    hidden = np.repeat(-hidden.view(np.uint8), channels, axis=1)
    odd ^= hidden
    values.append(photo.reshape(odd.shape) & ~hidden | hidden & odd)
  middle = count // 2
  for one, other in _comparisons(count, (middle - 1, middle)):
    low, high = values[one], values[other]
    values[one], values[other] = np.minimum(low, high), np.maximum(low, high)
  low, high = (x.astype(np.uint16) for x in values[middle - 1 : middle + 1])
  total = low + high
  mean = total // 2 + (total & 1 & total // 2)  # to the even one of two
  # Where an even number is left, it is the mean of two.
  single, is_single = (high, odd == 0) if count % 2 else (low, odd > 0)
  median = np.where(is_single, single, mean).astype(np.uint8)
  median = median.reshape(height, width, channels)
  return median * ~covered.all(axis=0)[..., None]


@functools.cache
def _comparisons(count: int, wanted: tuple[int, ...]) -> list[tuple[int, int]]:
  """Returns which values to compare, and to exchange, to sort some of them.

  The network is Batcher's merge exchange (Knuth, The Art of Computer
  Programming, volume 3, algorithm 5.2.2M), without what has no part in the
  wanted ones. On whole pictures it is faster than to sort pixel by pixel.

  Args:
    count: how many values there are, two or more.
    wanted: which of them, counted from the least, are to be in their places.
  """
  pairs = []
  top = 1 << (count - 1).bit_length() - 1
  part = top
  while part:
    larger, rest, distance = top, 0, part
    while distance:
      pairs += [
        (i, i + distance) for i in range(count - distance) if i & part == rest
      ]
      distance, larger, rest = larger - part, larger // 2, part
    part //= 2
  needed, kept = set(wanted), []
  for pair in reversed(pairs):
    if needed.intersection(pair):
      needed.update(pair)
      kept.append(pair)
  return kept[::-1]
