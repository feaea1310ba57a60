"""Where the floor below a car is, told from the outline of its mask.

Lengths are in units of the car's size, the root of its area, which changes
little as a car turns.
"""

from typing import NamedTuple

import cv2
import numpy as np

_STEEPEST = 0.4  # rows a column of a line from wheel to wheel
_BODY = 0.35  # height that no floor below a body reaches
_TYRES = 0.06  # height of what is taken for contact


class Ground(NamedTuple):
  """The floor below and around a car; all but `size` in sizes of the car."""

  size: float  # of the car, pixels
  height: np.ndarray  # float32 [H, W], above the line of contact
  aside: np.ndarray  # float32 [W], columns before or behind the wheels
  below: np.ndarray  # bool [H, W], seen between that line and the body
  car: np.ndarray  # bool [H, W]
  contact: np.ndarray  # bool [H, W], the car just above that line
  distance: np.ndarray  # float32 [H, W], to the two; a row is two columns


def find(mask: np.ndarray) -> Ground:
  """Looks below a car.

  The line of contact is the lower side of the mask's convex hull between the
  wheels, and level before and behind them.

  Args:
    mask: bool [H, W], with at least one pixel of car.
  """
  size = float(np.sqrt(np.count_nonzero(mask)))
  columns, rows = np.arange(mask.shape[1]), np.arange(len(mask))
  x, y = _contact_line(mask)
  line = np.interp(columns, x, y).astype(np.float32)
  height = (line - rows[:, None].astype(np.float32)) / size
  aside = np.maximum(np.maximum(x[0] - columns, columns - x[-1]), 0) / size
  below = np.logical_or.accumulate(mask) & ~mask  # car is above
  below &= (height > 0) & (height < _BODY)
  contact = mask & (height < _TYRES)
  distance = _distance_to(below | contact) / size
  return Ground(size, height, aside, below, mask, contact, distance)


def _contact_line(mask):
  """Corners of a line below the tyres: columns, and rows."""
  columns = np.flatnonzero(mask.any(0))
  lowest = len(mask) - mask[::-1, columns].argmax(0)
  hull = _lower_hull(list(zip(columns.tolist(), lowest.tolist(), strict=True)))
  first = last = max(range(len(hull)), key=lambda i: hull[i][1])
  while first > 0 and _is_level(hull[first - 1], hull[first]):
    first -= 1
  while last + 1 < len(hull) and _is_level(hull[last], hull[last + 1]):
    last += 1
  return np.transpose(hull[first : last + 1])


def _is_level(left, right):
  return abs(right[1] - left[1]) <= _STEEPEST * (right[0] - left[0])


def _lower_hull(points):
  """The lower side of a convex hull (Andrew 1979); points from left to right.

  Rows count downwards, so it is where rows are largest.
  """
  hull = []
  for point in points:
    while len(hull) > 1 and not _turns_up(hull[-2], hull[-1], point):
      hull.pop()
    hull.append(point)
  return hull


def _turns_up(a, b, c):
  return (b[0] - a[0]) * (c[1] - a[1]) < (c[0] - a[0]) * (b[1] - a[1])


def _distance_to(pixels):
  """A row is two columns: seen from so low, the floor is foreshortened."""
  tall = np.repeat(pixels, 2, axis=0)
  return cv2.distanceTransform(
    (~tall).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5
  )[::2]
