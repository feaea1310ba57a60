"""How far a mask's border is from the true one.

Dice hardly notices a border that is off by a few pixels all around a car; these
scores do.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.masks import cutout, distance

BANDS = (2, 4, 8)  # pixels on either side of the border
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class MaskPair(NamedTuple):
  """Two masks without the surroundings that are empty in both."""

  predicted: np.ndarray  # bool [h, w]
  actual: np.ndarray  # bool [h, w]
  # float32 [h, w]: the exact distance from each pixel's centre to that of the
  # nearest pixel on the other side of the actual mask's border, so at least 1;
  # very large where there is no border.
  away: np.ndarray
  diagonal: float  # the length of the whole picture's diagonal, in pixels


def mask_pair(predicted: np.ndarray, actual: np.ndarray) -> MaskPair:
  """Prepares what the scores of a border are taken from.

  Args:
    predicted: bool [H, W], the predicted mask.
    actual: bool [H, W], the true mask.

  Returns:
    Both masks, cropped to where either has car and a few pixels more. What is
    cut off is background in both, and no distance depends on it.
  """
  diagonal = math.hypot(*actual.shape)
  # Enough for all bands, and for the neighbours of their pixels.
  part = cutout.around(predicted | actual, max(BANDS) + 1)
  predicted, actual = predicted[part], actual[part]
  away = np.where(actual, distance.exact(~actual), distance.exact(actual))
  return MaskPair(predicted, actual, away, diagonal)


def scores(pair: MaskPair) -> dict[str, float]:
  """Scores the border of one mask.

  Args:
    pair: the predicted and the actual mask, from `mask_pair`.

  Returns:
    A dictionary of
      dice_band_2, dice_band_4, dice_band_8: Dice of the pixels that are at most
        2, 4 or 8 pixels from the other side of the actual mask's border; 1
        where it has no border.
      hausdorff_95: the larger of the 95th percentiles of the distances from
        each border to the other (Huttenlocher et al. 1993), in pixels.
      surface_distance: the mean of all those distances, both ways, in pixels.
    Both distances are 0 where neither mask has a border, being empty or all
    car, and the picture's diagonal where only one of them has a border.
  """
  borders = border_pixels(pair.predicted), border_pixels(pair.actual)
  return _band_scores(pair) | _distances(*borders, pair.diagonal)


def border_pixels(mask: np.ndarray) -> np.ndarray:
  """Returns the pixels of a mask that have a neighbour outside it.

  Each pixel has four neighbours. The picture's edge is not a border, as what
  lies beyond it is not known.

  Args:
    mask: bool [H, W].

  Returns:
    bool [H, W]; all false where everything is car, or nothing.
  """
  return mask & (cv2.erode(mask.view(np.uint8), _CROSS) == 0)


def _band_scores(pair):
  predicted, actual, away, _ = pair
  dice = {}
  for width in BANDS:
    band = away <= width
    size = np.count_nonzero(predicted & band) + np.count_nonzero(actual & band)
    overlap = np.count_nonzero(predicted & actual & band)
    dice[f'dice_band_{width}'] = 2 * overlap / size if size else 1.0
  return dice


def _distances(predicted, actual, diagonal):
  """Distances between two borders, bool [H, W]."""
  if not predicted.any() or not actual.any():
    constant = 0.0 if predicted.any() == actual.any() else diagonal
    return {'hausdorff_95': constant, 'surface_distance': constant}
  ways = distance.exact(actual)[predicted], distance.exact(predicted)[actual]
  return {
    'hausdorff_95': float(max(np.percentile(way, 95) for way in ways)),
    'surface_distance': float(np.concatenate(ways).mean()),
  }
