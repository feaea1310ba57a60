"""From a network's logits to the size of the photo that they are a mask of."""

import cv2
import numpy as np


def enlarge(
  logits: np.ndarray, size: tuple[int, int], box: np.ndarray | None = None
) -> np.ndarray:
  """Enlarges logits bilinearly.

  Logits, not labels, are enlarged: between two pixels of the network the
  border runs where the interpolated logit crosses the threshold. Cubic kernels
  are no better on real logits, and what they overshoot can make a doubtful
  pixel at the picture's edge a strip of car. On the host, as OpenCV takes a
  millisecond for what takes XLA on a CPU several, and an accelerator would have
  to send the larger result.

  Args:
    logits: float32 [h, w].
    size: (H, W) of the photo.
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
