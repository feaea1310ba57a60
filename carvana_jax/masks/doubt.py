"""How much the networks themselves doubt a mask, whatever the photo's size.

It is an estimate of 1 - Dice from the networks' answer alone: by how much the
mask changes between a strict and a generous threshold. `benchmarks/doubt.py`
compares that with the truth, and with other estimates.
"""

from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.masks import from_logits

MARGIN = 32  # levels to both sides of the threshold: a logit of 2
_SIDE = 480  # pixels at most of the mask in which parts are looked for


class Doubt(NamedTuple):
  """What is known of a mask without its truth.

  Attributes:
    margin: 1 - Dice of the strict and the generous mask, 0..1; 1 where no car
      was found.
    apart: the share of the mask beside its largest part, 0..1.
    covered: the share of the photo that is mask, 0..1.
  """

  margin: float
  apart: float
  covered: float


def of(levels: np.ndarray, mask: np.ndarray, threshold: float) -> Doubt:
  """Returns the doubt in a mask.

  Args:
    levels: uint8 [H, W], the probabilities, see `from_logits`.
    mask: bool [H, W], made of them.
    threshold: the probability from which on pixels are mask.
  """
  level = from_logits.level_of(threshold)
  strict = np.count_nonzero(levels >= min(level + MARGIN, 255))
  generous = np.count_nonzero(levels >= max(level - MARGIN, 1))
  margin = (generous - strict) / max(generous + strict, 1)
  if from_logits.is_empty(mask):
    margin = 1.0
  covered = np.count_nonzero(mask) / mask.size
  return Doubt(*(round(x, 5) for x in (margin, _apart(mask), covered)))


def _apart(mask):
  """Returns the share of a mask beside its largest part, seen from afar."""
  step = -(-max(mask.shape) // _SIDE)
  small = np.ascontiguousarray(mask[::step, ::step]).view(np.uint8)
  stats = cv2.connectedComponentsWithStats(small, connectivity=8)[2]
  areas = stats[1:, cv2.CC_STAT_AREA]
  return 1 - float(areas.max() / areas.sum()) if areas.size else 0.0
