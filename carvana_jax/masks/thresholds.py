"""Which probability should count as car: all thresholds at once.

Probabilities come in 256 levels, which are equal steps of the logit: level k
holds the logits from (k - 128) / 16 to the next level's, the lowest and the
highest level all beyond. So a threshold of one half is exact, and a border that
a network sees but vaguely is as finely divided as a sharp one.
"""

import cv2
import numpy as np

LEVELS = 256
_HALF = 128  # the lowest level of a probability of one half
_STEPS = 16  # levels for a logit of 1


def quantize(logits: np.ndarray) -> np.ndarray:
  """float32 [H, W] -> levels uint8 [H, W]; what is not finite is level 0."""
  # Of OpenCV's functions the one that scales, shifts, rounds to the nearest and
  # saturates in one pass, which takes a tenth of NumPy's time.
  return cv2.addWeighted(
    logits, _STEPS, logits, 0, _HALF - 0.5, dtype=cv2.CV_8U
  )


def threshold_of(level: int) -> float:
  """The probability, 0..1, from which on pixels have this level."""
  return float(1 / (1 + np.exp((_HALF - level) / _STEPS)))


def level_of(threshold: float) -> int:
  """The lowest level that counts as car; thresholds are rounded to levels."""
  level = _HALF + _STEPS * np.log(threshold / (1 - threshold))
  return int(np.clip(np.rint(level), 1, LEVELS - 1))


def probabilities(levels: np.ndarray) -> np.ndarray:
  """Levels uint8 [H, W] -> probabilities uint8 [H, W], 0..255 for 0..1."""
  middles = (np.arange(LEVELS) + 0.5 - _HALF) / _STEPS
  return cv2.LUT(levels, np.rint(255 / (1 + np.exp(-middles))).astype(np.uint8))


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
  return threshold_of(level), float(mean.max())
