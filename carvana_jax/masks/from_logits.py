"""From a network's logits to the mask of a photo at its own size.

Probabilities come in 256 levels, which are equal steps of the logit: level k
holds the logits from (k - 128) / 16 up to where the next level begins; the
lowest and the highest level hold all that is beyond. So a threshold of one half
is exact, and a border that a network sees only vaguely is divided as finely as
a sharp one.
"""

import cv2
import numpy as np

from carvana_jax.masks import cleaning

LEVELS = 256
_HALF = 128  # the lowest level of a probability of one half
_STEPS = 16  # levels for a logit of 1
LEAST_CAR = 0.001  # of a photo; a studio's cars take a twentieth at the least


def enlarge(
  logits: np.ndarray, size: tuple[int, int], box: np.ndarray | None = None
) -> np.ndarray:
  """Enlarges logits bilinearly.

  Logits, not labels, are enlarged: between two pixels of the network the
  border runs where the interpolated logit crosses the threshold. Cubic kernels
  are no better on real logits, and by overshooting they can turn a doubtful
  pixel at the picture's edge into a strip of car. This is done on the host:
  OpenCV takes a millisecond for what takes XLA several on a CPU, and an
  accelerator would have to send the larger result.

  Args:
    logits: float32 [h, w].
    size: (H, W), the photo's size.
    box: int32 [4], the part of the photo that the logits belong to: top, left,
      bottom, right, the latter two exclusive; None: all of it.

  Returns:
    float32 [H, W], -inf outside the box.
  """
  if box is None:
    return _resize(logits, *size)
  top, left, bottom, right = box
  whole = np.full(size, -np.inf, np.float32)
  whole[top:bottom, left:right] = _resize(logits, bottom - top, right - left)
  return whole


def _resize(logits, height, width):
  if logits.shape == (height, width):
    return logits
  size = (int(width), int(height))
  return cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR)


def mask_of(levels: np.ndarray, eval_config) -> np.ndarray:
  """As `mask_at`, with the threshold and the cleaning of a `config.eval`."""
  way = cleaning.configured_way(eval_config)
  return mask_at(levels, eval_config.threshold, way)


def mask_at(levels: np.ndarray, threshold: float, way: str) -> np.ndarray:
  """Makes a mask from probabilities.

  Args:
    levels: uint8 [H, W], the probabilities.
    threshold: the probability, 0..1, from which on a pixel is car.
    way: how the mask is cleaned, a key of `cleaning.WAYS`.

  Returns:
    bool [H, W].
  """
  return cleaning.clean(levels >= level_of(threshold), way)


def is_empty(mask: np.ndarray) -> bool:
  """Returns whether a mask, bool [H, W], shows no car, or a speck at most."""
  return bool(np.count_nonzero(mask) < LEAST_CAR * mask.size)


def quantize(logits: np.ndarray) -> np.ndarray:
  """Turns logits into levels.

  Args:
    logits: float32 [H, W].

  Returns:
    uint8 [H, W]; 0 where a logit is not finite.
  """
  # Of OpenCV's functions the one that scales, shifts, rounds to the nearest and
  # saturates in one pass, which takes a tenth of NumPy's time.
  return cv2.addWeighted(
    logits, _STEPS, logits, 0, _HALF - 0.5, dtype=cv2.CV_8U
  )


def threshold_of(level: int) -> float:
  """Returns the probability, 0..1, from which on pixels have this level."""
  return float(1 / (1 + np.exp((_HALF - level) / _STEPS)))


def level_of(threshold: float) -> int:
  """Returns the lowest level that counts as car.

  Args:
    threshold: a probability, above 0 and below 1; it is rounded to a level.

  Returns:
    A level, 1..255.
  """
  level = _HALF + _STEPS * np.log(threshold / (1 - threshold))
  return int(np.clip(np.rint(level), 1, LEVELS - 1))


def probabilities(levels: np.ndarray) -> np.ndarray:
  """Turns levels into probabilities.

  Args:
    levels: uint8 [H, W].

  Returns:
    uint8 [H, W], 0..255 for probabilities of 0..1.
  """
  middles = (np.arange(LEVELS) + 0.5 - _HALF) / _STEPS
  return cv2.LUT(levels, np.rint(255 / (1 + np.exp(-middles))).astype(np.uint8))
