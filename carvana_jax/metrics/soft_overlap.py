"""Soft Dice and IoU: of probabilities, over the pixels of many images at once.

    Dice = (2 sum(t p) + 1) / (sum(t) + sum(p) + 1)
    IoU = (sum(t p) + 1) / (sum(t) + sum(p) - sum(t p) + 1)

with the target t and the probability p of every pixel, 0..1, and the sums over
all pixels of all images. So do some published systems report it: over each
batch, where Keras shows the mean of the batches' values (`soft_dice_batches`),
or over a whole split at once (`soft_dice_set`). Neither compares with the mean
over images of the Dice of masks, for which see `overlap`.
"""

import jax
import jax.numpy as jnp
import numpy as np

_SMOOTH = 1.0


def sums(
  probability: jax.Array, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Sums over each image what the scores are made of.

  Args:
    probability: [B, H, W], 0..1.
    target: [B, H, W], 0..1.

  Returns:
    sum(t p) and sum(t) + sum(p), each [B].
  """
  total = lambda values: jnp.sum(values, (1, 2))
  return total(target * probability), total(target) + total(probability)


def scores(
  overlap: np.ndarray, size: np.ndarray, batch_size: int
) -> dict[str, float]:
  """Scores images, given the sums over each.

  Args:
    overlap: [N], the sum(t p) of each image, in the order of the batches.
    size: [N], the sum(t) + sum(p) of each.
    batch_size: the images in a batch; the last one may have fewer, and counts
      as much as the others.

  Returns:
    `soft_dice_batches` and `soft_iou_batches`, means over the batches, and
    `soft_dice_set` and `soft_iou_set`, over all images at once; 0..1.
  """
  starts = np.arange(0, len(overlap), batch_size)
  of_batches = [np.add.reduceat(x, starts) for x in (overlap, size)]
  of_set = overlap.sum(), size.sum()
  return {
    'soft_dice_batches': float(_dice(*of_batches).mean()),
    'soft_iou_batches': float(_iou(*of_batches).mean()),
    'soft_dice_set': float(_dice(*of_set)),
    'soft_iou_set': float(_iou(*of_set)),
  }


def _dice(overlap, size):
  return (2 * overlap + _SMOOTH) / (size + _SMOOTH)


def _iou(overlap, size):
  return (overlap + _SMOOTH) / (size - overlap + _SMOOTH)
