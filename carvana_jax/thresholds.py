"""Which probability should count as car: all thresholds at once.

Probabilities come in 256 levels, level k holding [k / 256, (k + 1) / 256), so
the thresholds k / 256 are exact, one half among them.
"""

import numpy as np

LEVELS = 256


def level_of(threshold: float) -> int:
  """The lowest level that counts as car; thresholds are rounded to levels."""
  return min(max(round(threshold * LEVELS), 1), LEVELS - 1)


def dice(levels: np.ndarray, actual: np.ndarray) -> np.ndarray:
  """Dice of one image for every threshold, from two histograms.

  Args:
    levels: uint8 [H, W], probabilities.
    actual: bool [H, W].

  Returns:
    float64 [256], of the masks `levels >= k`.
  """
  # Pixels at or above each level, of the car and of all.
  above = lambda x: np.bincount(x, minlength=LEVELS)[::-1].cumsum()[::-1]
  overlap, predicted = above(levels[actual]), above(levels.ravel())
  size = predicted + np.count_nonzero(actual)
  return np.where(size == 0, 1.0, 2 * overlap / np.maximum(size, 1))


def best(by_image: np.ndarray) -> tuple[float, float]:
  """The threshold of the highest mean Dice, and that mean.

  Args:
    by_image: [N, 256], as from `dice`.

  Returns:
    The middle one of equally good thresholds, which is the safest, in 0..1;
    Dice.
  """
  mean = by_image.mean(0)[1:]  # at level 0 all is car
  good = np.flatnonzero(mean == mean.max())
  level = 1 + int(good[len(good) // 2])
  return level / LEVELS, float(mean.max())
