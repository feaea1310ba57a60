"""Scores of one image each, from exact pixel counts.

A score of a set of images is the mean of the images' scores, as in the
challenge, so it depends neither on the batch size nor on the devices.
"""

import jax
import jax.numpy as jnp


def scores(
  logits: jax.Array, target: jax.Array, threshold: float = 0.5
) -> dict[str, jax.Array]:
  """Dice, intersection over union and pixel accuracy of hard masks.

  Two empty masks agree wholly: Dice and IoU are 1.

  Args:
    logits: [B, H, W].
    target: [B, H, W], 0..1; a pixel is car from one half on.
    threshold: the probability from which on a pixel is predicted as car.

  Returns:
    dice, iou and accuracy, each [B], 0..1.
  """
  cut = jnp.log(threshold) - jnp.log1p(-threshold)
  predicted = logits >= cut
  actual = target >= 0.5
  # Integers: a float32 sum of a full-size mask may lose single pixels.
  overlap = _count(predicted & actual)
  size = _count(predicted) + _count(actual)
  union = size - overlap
  return {
    'dice': _ratio(2 * overlap, size),
    'iou': _ratio(overlap, union),
    'accuracy': jnp.mean(predicted == actual, (1, 2)),
  }


def _count(pixels):
  return jnp.sum(pixels, (1, 2), dtype=jnp.int32)


def _ratio(part, whole):
  return jnp.where(whole == 0, 1.0, part / jnp.maximum(whole, 1))
