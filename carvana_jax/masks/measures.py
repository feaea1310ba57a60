"""How large an object is in a photo, where it is, and of which colour."""

from typing import NamedTuple

import numpy as np


class Measures(NamedTuple):
  """What a mask tells of an object; all but `share` are NaN without one.

  Attributes:
    share: of the frame that is object, 0..1.
    down: of the object's centre, from 0 at the top to 1 at the bottom.
    across: of the object's centre, from 0 at the left to 1 at the right.
    height: of the box around the object, as a share of the frame's.
    width: of the box around the object, as a share of the frame's.
    colour: the object's mean red, green and blue, 0..255.
  """

  share: float
  down: float
  across: float
  height: float
  width: float
  colour: tuple[float, float, float]


def measure(photo: np.ndarray, mask: np.ndarray) -> Measures:
  """Measures the object of a photo.

  Args:
    photo: uint8 [H, W, 3].
    mask: uint8 [H, W], the share of each pixel that is object, 0..255. The box
      is around pixels that are object by half at least.

  Returns:
    The measures; a pixel counts by its share.
  """
  weights = mask / 255
  total = weights.sum()
  if not total:
    nan = float('nan')
    return Measures(0.0, nan, nan, nan, nan, (nan, nan, nan))
  # Centres of pixels.
  rows, columns = ((np.arange(x) + 0.5) / x for x in mask.shape)
  colour = np.tensordot(weights, photo, 2) / total
  return Measures(
    share=float(weights.mean()),
    down=float(weights.sum(1) @ rows / total),
    across=float(weights.sum(0) @ columns / total),
    height=_extent((mask > 127).any(1)),
    width=_extent((mask > 127).any(0)),
    colour=tuple(colour.tolist()),
  )


def _extent(is_object: np.ndarray) -> float:
  """Returns the share of a line from its first to its last True."""
  places = np.flatnonzero(is_object)
  return float(np.ptp(places) + 1) / len(is_object) if len(places) else 0.0
