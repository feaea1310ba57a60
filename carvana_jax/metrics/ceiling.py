"""What resolution alone costs: the Dice of perfect masks of a network's size.

A network may score higher than that, as logits can place a border better than
the share of a pixel that is car; but those seen so far stay well below.
"""

import numpy as np

from carvana_jax.datasets import images
from carvana_jax.datasets.multiview import cropping
from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap


def dice(
  actual: np.ndarray, size: tuple[int, int], box: np.ndarray
) -> dict[str, float]:
  """Scores a true mask that was reduced to a network's size and enlarged.

  Args:
    actual: bool [H, W], the true mask.
    size: (h, w), at which the network is shown the box.
    box: int32 [4], the part of the photo that the network is shown: top, left,
      bottom, right, the latter two exclusive.

  Returns:
    Dice by two names: `ceiling_soft` is that of the area-averaged mask,
    enlarged as logits are and then cut at one half; `ceiling_hard` is that of
    the mask that is cut at one half first, then enlarged to the nearest pixel.
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
  after = bottom - top, right - left
  rows, columns = (
    ((np.arange(large) + 0.5) * small / large).astype(int)
    for small, large in zip(mask.shape, after, strict=True)
  )
  whole = np.zeros(size, bool)
  whole[top:bottom, left:right] = mask[rows[:, None], columns]
  return whole
