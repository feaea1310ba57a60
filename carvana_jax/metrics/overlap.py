"""Scores of one image each, from exact pixel counts.

A score of a set of images is the mean of the images' scores, as in the
challenge, so it depends neither on the batch size nor on the devices.
"""

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.masks import from_logits


def scores(
  logits: jax.Array,
  target: jax.Array,
  threshold: float = 0.5,
  smooth: float = 0.0,
) -> dict[str, jax.Array]:
  """Scores hard masks by Dice, intersection over union and pixel accuracy.

  Two empty masks agree completely: Dice and IoU are 1.

  Args:
    logits: [B, H, W], the predictions.
    target: [B, H, W], 0..1; a pixel is car from one half on.
    threshold: the probability from which on a pixel is predicted as car.
    smooth: what is added to numerator and denominator of Dice and IoU, as in
      some published figures; 0 gives the exact scores.

  Returns:
    `dice`, `iou` and `accuracy`, each [B], 0..1.
  """
  # Integers: a float32 sum of a full-size mask may lose single pixels.
  count = lambda pixels: jnp.sum(pixels, (1, 2), dtype=jnp.int32)
  return _scores(hard_masks(logits, threshold), target >= 0.5, count, smooth)


def mask_scores(predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
  """Scores one mask on the host; the scores are those of `scores`.

  NumPy counts a full-size mask in half a millisecond, XLA's CPU backend in 20.

  Args:
    predicted: bool [H, W], the predicted mask.
    actual: bool [H, W], the true mask.

  Returns:
    `dice`, `iou` and `accuracy`, 0..1.
  """
  return _scores(predicted, actual, np.count_nonzero, smooth=0)


def hard_masks(logits: jax.Array, threshold: float) -> jax.Array:
  """Returns where sigmoid(logits) >= threshold, bool of the logits' shape."""
  return logits >= jnp.log(threshold) - jnp.log1p(-threshold)


def dice_by_level(levels: np.ndarray, actual: np.ndarray) -> np.ndarray:
  """Returns the Dice of one image for every threshold, from two histograms.

  Args:
    levels: uint8 [H, W], the probabilities, see `from_logits`.
    actual: bool [H, W], the true mask.

  Returns:
    float64 [256]; the k-th is the Dice of the mask `levels >= k`.
  """
  # Pixels at or above each level, of the car and of all.
  counts = lambda x: np.bincount(x, minlength=from_logits.LEVELS)
  above = lambda x: counts(x)[::-1].cumsum()[::-1]
  overlap, predicted = above(levels[actual]), above(levels.ravel())
  size = predicted + np.count_nonzero(actual)
  return np.where(size == 0, 1.0, 2 * overlap / np.maximum(size, 1))


def best_threshold(by_image: np.ndarray) -> tuple[float, float]:
  """Returns the threshold of the highest mean Dice.

  Args:
    by_image: [N, 256], from `dice_by_level` for each image.

  Returns:
    The threshold, 0..1, and the mean Dice there. Of equally good thresholds it
    is the middle one, which is the safest.
  """
  mean = by_image.mean(0)[1:]  # at level 0 all is car
  good = np.flatnonzero(mean == mean.max())
  level = 1 + int(good[len(good) // 2])
  return from_logits.threshold_of(level), float(mean.max())


def _scores(predicted, actual, count, smooth):
  height, width = predicted.shape[-2:]
  overlap = count(predicted & actual)
  size = count(predicted) + count(actual)
  return {
    'dice': _ratio(2 * overlap, size, smooth),
    'iou': _ratio(overlap, size - overlap, smooth),
    'accuracy': count(predicted == actual) / (height * width),
  }


def _ratio(part, whole, smooth):
  empty = whole == 0  # then the ratio is 1
  return (part + smooth + empty) / (whole + smooth + empty)
