"""Ways to clean a mask: holes are filled, all but the largest part removed.

Whether that helps a network is measured on its validation split, see
`evaluation.evaluate_run`.
"""

import cv2
import numpy as np

# (fill_holes, keep_largest), the least change first.
WAYS = {
  'none': (False, False),
  'holes': (True, False),
  'largest': (False, True),
  'holes+largest': (True, True),
}


def configured_way(eval_config) -> str:
  """Returns the key in `WAYS` of what `config.eval` asks for."""
  asked = eval_config.fill_holes, eval_config.keep_largest
  return next(name for name, way in WAYS.items() if way == asked)


def clean(mask: np.ndarray, way: str) -> np.ndarray:
  """Cleans a mask.

  Args:
    mask: bool [H, W].
    way: a key of `WAYS`, what is to be done.

  Returns:
    bool [H, W], the cleaned mask.
  """
  filled, largest = WAYS[way]
  if filled:
    mask = fill_holes(mask)
  return keep_largest(mask) if largest else mask


def fill_holes(mask: np.ndarray) -> np.ndarray:
  """Turns background that does not touch the picture's edge into car.

  Args:
    mask: bool [H, W].

  Returns:
    bool [H, W].
  """
  # A frame of background joins what touches the edge; 1 car, 2 outside.
  framed = np.pad(mask.astype(np.uint8), 1)
  cv2.floodFill(framed, None, (0, 0), 2)
  return framed[1:-1, 1:-1] != 2


def keep_largest(mask: np.ndarray) -> np.ndarray:
  """Turns all but the largest part of a mask into background.

  Args:
    mask: bool [H, W]; pixels that meet at a corner are connected.

  Returns:
    bool [H, W]; of equally large parts the first from the top.
  """
  count, parts, stats, _ = cv2.connectedComponentsWithStats(
    mask.view(np.uint8), connectivity=8
  )
  if count <= 2:  # the background and one part
    return mask
  return parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
