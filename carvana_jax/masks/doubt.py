"""How much the networks themselves doubt a mask, whatever the photo's size.

A network that is sure of a border goes from background to car within a few
pixels. So doubt is measured along the mask's border, of a photo seen from afar.
`benchmarks/doubt.py` compares this with 1 - Dice, and with other estimates.
"""

from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.masks import from_logits

_SIDE = 480  # pixels, of the photo's longer side as it is looked at
_BAND = np.ones((5, 5), np.uint8)  # two pixels to both sides of the border
# By steps from the threshold, 1 at the threshold itself and 0 far from it.
_UNSURE = 2 / (1 + np.exp(np.abs(np.arange(-255, 256) + 0.5) / 16))


class Doubt(NamedTuple):
  """What is known of a mask without its truth.

  Attributes:
    vague: how unsure pixels along the border are in the mean, 0 for not at all
      to 1 for a half and half; 1 where no car was found, or nothing else.
    apart: the share of the mask beside its largest part, 0..1.
    covered: the share of the photo that is mask, 0..1.
  """

  vague: float
  apart: float
  covered: float


def of(levels: np.ndarray, mask: np.ndarray, threshold: float) -> Doubt:
  """Returns the doubt in a mask.

  Args:
    levels: uint8 [H, W], the probabilities, see `from_logits`.
    mask: bool [H, W], made of them.
    threshold: the probability from which on pixels are mask.
  """
  small_levels, small = _from_afar(levels), _from_afar(mask.view(np.uint8))
  band = cv2.dilate(small, _BAND) != cv2.erode(small, _BAND)
  if from_logits.is_empty(mask) or not band.any():
    vague = 1.0
  else:
    first = 255 - from_logits.level_of(threshold)
    vague = _UNSURE[first : first + 256][small_levels[band]].mean()
  covered = np.count_nonzero(mask) / mask.size
  return Doubt(*(round(float(x), 5) for x in (vague, _apart(small), covered)))


def _from_afar(pixels):
  height, width = pixels.shape
  scale = _SIDE / max(height, width)
  size = max(1, round(width * scale)), max(1, round(height * scale))
  return cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)


def _apart(mask):
  """Returns the share of a mask, uint8 [h, w], beside its largest part."""
  stats = cv2.connectedComponentsWithStats(mask, connectivity=8)[2]
  areas = stats[1:, cv2.CC_STAT_AREA]
  return 1 - areas.max() / areas.sum() if areas.size else 0.0
