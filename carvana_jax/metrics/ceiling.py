"""What resolution alone costs: the score of perfect masks of a network's size.

A network's own score may come out higher, as logits can place a border better
than the share of a pixel does; but those seen so far stay well below.
"""

import numpy as np

from carvana_jax.datasets import images
from carvana_jax.datasets.multiview import cropping
from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap


def dice(
  actual: np.ndarray, size: tuple[int, int], box: np.ndarray
) -> dict[str, float]:
  """Dice of a true mask that was reduced to a network's size and enlarged.

  Args:
    actual: bool [H, W].
    size: (h, w) of the network.
    box: int32 [4], the part that the network is shown: top, left, bottom,
      right, the latter two exclusive.

  Returns:
    ceiling_soft: of the area-averaged mask, enlarged as logits are and cut at
      one half; ceiling_hard: of the mask cut at one half first and enlarged to
      the nearest pixel.
  """
  small = cropping.cut(images.mask_pixels(actual), box, *size)
  values = small.astype(np.float32) - 127.5
  masks = {
    'ceiling_soft': from_logits.enlarge(values, actual.shape, box) >= 0,
    'ceiling_hard': _to_nearest(values >= 0, actual.shape, box),
  }
  return {
    name: overlap.mask_scores(mask, actual)['dice']
    for name, mask in masks.items()
  }


def _to_nearest(mask, size, box):
  """Enlarges [h, w] to its box in bool [H, W]."""
  top, left, bottom, right = box
  rows, columns = (
    ((np.arange(after) + 0.5) * before / after).astype(int)
    for before, after in zip(
      mask.shape, (bottom - top, right - left), strict=True
    )
  )
  whole = np.zeros(size, bool)
  whole[top:bottom, left:right] = mask[rows[:, None], columns]
  return whole
