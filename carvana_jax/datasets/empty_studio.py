"""The empty studio behind a car, from the views that show it.

Camera and background stand still while the turntable turns the car, so most of
what one view's car hides is seen in others. How a view differs from the empty
studio shows what first masks miss: aerials, mirrors, roofs before letters.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.system import threads

CHANNELS = 4  # of `EmptyStudio.difference`
MOST_VIEWS = 32  # that are held in memory together

_STRIPS = 8  # parts of the picture, so that all cores have some

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
  another light, is noticed and left out.

  Args:
    photos: uint8 [H, W, 3] each, of one size; or their luminance, [H, W, 1].
    probabilities: of car, as a network sees it, uint8 [H, W] each, 0..255.
    slopes_agree: how well the slopes of a view must agree with the studio's,
      up to 1.

  Returns:
    The studio; None unless two views or more agree about it.
  """
  if len(photos) < 2:
    return None
  stack = np.stack(photos)
  margin = max(1, round(_MARGIN * stack.shape[2]))
  maybe = list(threads.ordered_map(lambda x: x >= _MAYBE_CAR, probabilities))
  covered = cover(maybe, margin)
  fits = np.ones(len(stack), bool)
  for _ in range(_ROUNDS):
    hidden = covered | ~fits[:, None, None]
    picture, count = empty_studio(stack, hidden)
    found = _fitting(stack, picture, covered, count, slopes_agree)
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
    if not shown.any():
      return False
    photo = _grey(photos[view])
    if np.median(np.abs(photo - studio)[shown]) > _LEVELS_AGREE:
      return False
    edges = shown & (steep >= np.percentile(steep[shown], _EDGES))
    own = _slopes(photo)[:, edges].ravel()
    other = slopes[:, edges].ravel()
    norms = np.linalg.norm(own) * np.linalg.norm(other)
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
    photos: uint8 [V, H, W, 3], views of one car with one camera.
    covered: bool [V, H, W], where a view does not show the studio, see `cover`.

  Returns:
    The picture, uint8 [H, W, 3], which is 0 where every view is covered; and
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
  # As bright as can be, so that the covered ones come last of each pixel's.
  values = np.where(covered[..., None], np.uint8(255), photos)
  values.sort(axis=0)
  count = np.sum(~covered, axis=0)[None, ..., None]  # [1, H, W, 1]
  low, high = (
    np.take_along_axis(values, np.maximum(place, 0), axis=0)[0]
    for place in ((count - 1) // 2, count // 2)
  )
  median = np.rint((low.astype(np.float32) + high) / 2).astype(np.uint8)
  return np.where(count[0] > 0, median, np.uint8(0))
