"""The empty studio behind a car, from the views that show it.

Camera and background stand still while the turntable turns the car, so most of
what one view's car hides is seen in others.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from carvana_jax.system import threads

_STRIPS = 8  # parts of the picture, so that all cores have some


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
  return np.stack([cv2.dilate(x.view(np.uint8), disc) > 0 for x in masks])


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
