"""Distances from every pixel of a picture to a set of pixels, or to a border.

All are very large where there is nothing to measure to.
"""

import cv2
import numpy as np


def exact(pixels: np.ndarray) -> np.ndarray:
  """Returns each pixel's Euclidean distance to the nearest of some pixels.

  Exact (Felzenszwalb & Huttenlocher 2012), and the same on every call.

  Args:
    pixels: bool [H, W], the pixels to measure to.

  Returns:
    float32 [H, W], in pixels.
  """
  # Intel's routine is as fast, but its last bits depend on where in memory the
  # pixels lie. The setting is this thread's, and other functions profit by it.
  before = cv2.ipp.useIPP()
  cv2.ipp.setUseIPP(False)
  try:
    return _transform(pixels, cv2.DIST_MASK_PRECISE)
  finally:
    cv2.ipp.setUseIPP(before)


def signed(mask: np.ndarray) -> np.ndarray:
  """Returns each pixel's distance to the line that a mask's border runs on.

  That line passes between pixels, so no distance is less than one half.
  Distances are Euclidean to within two per cent (Borgefors 1986).

  Args:
    mask: bool [H, W].

  Returns:
    float32 [H, W], in pixels, positive where the mask is true.
  """
  to = lambda pixels: _transform(pixels, cv2.DIST_MASK_5)
  return np.where(mask, to(~mask) - 0.5, 0.5 - to(mask))


def on_floor(pixels: np.ndarray) -> np.ndarray:
  """Returns each pixel's distance to the nearest of some pixels on the floor.

  A row counts as two columns, as the floor is foreshortened when it is seen
  from as low as in the studio; distances are from the upper half of a row.

  Args:
    pixels: bool [H, W], the pixels to measure to.

  Returns:
    float32 [H, W], in columns.
  """
  tall = np.repeat(pixels, 2, axis=0)
  return _transform(tall, cv2.DIST_MASK_5)[::2]


def _transform(pixels, method):
  return cv2.distanceTransform((~pixels).view(np.uint8), cv2.DIST_L2, method)
