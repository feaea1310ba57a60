"""A car's shadow, as the share of the floor's light that is left.

The shadow 'own' is the one in the photo: how dark the floor at the car is,
compared with the bright floor around it. 'synthetic' is made from the mask
alone, for photos whose floor is not plain.
"""

from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.datasets import images
from carvana_jax.masks import cleaning, distance

# Shadows are smooth, so the photo's longer side is reduced to so many pixels.
_LONG = 480

# Lengths below are in sizes of the car, see `Ground`.
_REACH = 0.35  # from the car to where its own shadow ends
_AROUND = 1.0  # to where the floor around it ends
_HIGH = 0.3  # height where floor ends: above are walls, mirrors and bumpers
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_FEWEST = 50  # pixels that it takes to tell the floor around

# Of the synthetic shadow: light that is taken, and standard deviation of the
# blur, below the body and where tyres touch the floor.
_BODY, _BODY_BLUR = 0.6, 0.05
_TYRES, _TYRES_BLUR = 0.6, 0.015
# The body's height, and how far beyond the wheels it casts a shadow.
_BODY_HIGH, _BODY_ASIDE = 0.2, 0.35

# Of the floor below the car.
_STEEPEST = 0.4  # rows a column of a line from wheel to wheel
_BODY_HEIGHT = 0.35  # height that no floor below a body reaches
_CONTACT_HEIGHT = 0.06  # height of what is taken for contact


class Ground(NamedTuple):
  """The floor below and around a car.

  Lengths other than `size` are in sizes of the car.
  """

  size: float  # of the car, the root of its area, in pixels
  height: np.ndarray  # float32 [H, W], above the line of contact
  aside: np.ndarray  # float32 [W], columns before or behind the wheels
  below: np.ndarray  # bool [H, W], seen between that line and the body
  car: np.ndarray  # bool [H, W]
  contact: np.ndarray  # bool [H, W], the car just above that line
  # float32 [H, W], along the floor to the nearest of `below` and `contact`.
  distance: np.ndarray


def matte(photo: np.ndarray, mask: np.ndarray, kind: str) -> np.ndarray:
  """Returns what a background is to be multiplied by.

  Args:
    photo: uint8 [H, W, 3].
    mask: bool [H, W], where its car is.
    kind: one of `names.SHADOWS`.

  Returns:
    uint8 [H, W], 255 where there is no shadow, which is everywhere if the photo
    shows no car. The shadow goes on behind the car's border.
  """
  height, width = mask.shape
  factor = min(_LONG / max(height, width), 1.0)
  size = max(round(width * factor), 1), max(round(height * factor), 1)
  reduce = lambda x: cv2.resize(x, size, interpolation=cv2.INTER_AREA)
  car = reduce(images.mask_pixels(mask)) >= 128
  if kind == 'none' or not car.any():
    return np.full((height, width), 255, np.uint8)
  where = find_ground(cleaning.keep_largest(car))  # specks cast no shadow
  if kind == 'own':
    left = _own(*_floor(photo, mask, reduce), where)
  else:
    left = _synthetic(where)
  left = np.rint(255 * np.clip(left, 0, 1)).astype(np.uint8)
  return cv2.resize(left, (width, height), interpolation=cv2.INTER_LINEAR)


def find_ground(mask: np.ndarray) -> Ground:
  """Finds the floor below and around a car.

  The car touches the floor along the lower side of the mask's convex hull
  between the wheels; before and behind them this line goes on level.

  Args:
    mask: bool [H, W], with at least one pixel of car.

  Returns:
    Where the floor is, and how far each pixel is from the car.
  """
  size = float(np.sqrt(np.count_nonzero(mask)))
  columns, rows = np.arange(mask.shape[1]), np.arange(len(mask))
  x, y = _contact_line(mask)
  line = np.interp(columns, x, y).astype(np.float32)
  height = (line - rows[:, None].astype(np.float32)) / size
  aside = np.maximum(np.maximum(x[0] - columns, columns - x[-1]), 0) / size
  below = np.logical_or.accumulate(mask) & ~mask  # car is above
  below &= (height > 0) & (height < _BODY_HEIGHT)
  contact = mask & (height < _CONTACT_HEIGHT)
  away = distance.on_floor(below | contact) / size
  return Ground(size, height, aside, below, mask, contact, away)


def _floor(photo, mask, reduce):
  """Luminance beside the car, float32 [h, w], and where it is known, bool."""
  # Pixels at the border show some of the car.
  clear = cv2.erode(images.mask_pixels(~mask), np.ones((7, 7), np.uint8))
  gray = cv2.copyTo(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), clear)
  share = reduce(clear).astype(np.float32) / 255
  return reduce(gray) / np.maximum(share, 1 / 255), share > 0.25


def _own(light, seen, where):
  """Compares the floor's light at the car with what is expected there.

  Args:
    light: float32 [h, w], luminance, 0..255.
    seen: bool [h, w], where that is the luminance of the floor.
    where: the `Ground` of the car.

  Returns:
    float32 [h, w], 1 where there is no shadow.
  """
  expected = _expected(light, seen, where)
  if expected is None:
    return np.ones_like(light)
  left = np.where(seen, light / expected, 0)
  # Seams of the floor are thin and dark. The car is dark here, or a narrow
  # shadow beside it would be taken for one of them.
  left = cv2.morphologyEx(left, cv2.MORPH_CLOSE, _DISC)
  # Beside the car, floor ends sooner the farther away it is.
  height = where.height * (1 + 6 * where.distance)
  near = _fade(where.distance, 0, _REACH) * _fade(height, _HIGH / 2, _HIGH)
  return 1 - near * (1 - _spread(left, seen))


def _expected(light, seen, where):
  """Fits a plane to the light of the floor around the car.

  It is fitted again without what is far from it, such as marks on the floor.
  None if too little of the floor is seen, or it is black.
  """
  around = seen & (where.distance > _REACH) & (where.distance < _AROUND)
  around &= where.height < _HIGH
  y, x = np.nonzero(around)
  if len(x) < _FEWEST:
    return None
  places, values = np.stack([x, y, np.ones_like(x)], -1), light[around]
  kept = slice(None)
  for _ in range(5):
    plane, *_ = np.linalg.lstsq(places[kept], values[kept])
    rest = np.abs(values - places @ plane)
    kept = rest <= 2 * max(np.median(rest), 1)
  rows, columns = np.indices(light.shape)
  found = plane[0] * columns + plane[1] * rows + plane[2]
  # Not beyond what was seen.
  low, high = np.percentile(values[kept], (2, 98))
  if high < 1:
    return None  # a black floor shows no shadow
  return np.clip(found, max(low, 1), high).astype(np.float32)


def _spread(left, seen):
  """Smooths the light, and carries it on where the floor is not seen."""
  weight = seen.astype(np.float32)
  left = left * weight
  total = count = 0
  # What is farther away only counts where nothing is near.
  for pixels, share in ((3, 1), (9, 1e-3), (65, 1e-6)):
    total = total + share * cv2.blur(left, (pixels, pixels))
    count = count + share * cv2.blur(weight, (pixels, pixels))
  return total / np.maximum(count, 1e-12)


def _synthetic(where):
  """Takes light below the body, and more where tyres touch; float32 [h, w]."""
  body = (
    (where.below | where.car) & (where.height > 0) & (where.height < _BODY_HIGH)
  )
  body = body * _fade(where.aside, 0, _BODY_ASIDE)
  body = _cast(body, _BODY_BLUR * where.size)
  tyres = _cast(where.contact, _TYRES_BLUR * where.size)
  return (1 - _BODY * body) * (1 - _TYRES * tyres)


def _cast(pixels, blur):
  # Half as far upwards, as the floor is foreshortened.
  return cv2.GaussianBlur(
    pixels.astype(np.float32),
    (0, 0),
    sigmaX=max(blur, 0.1),
    sigmaY=max(blur / 2, 0.1),
    borderType=cv2.BORDER_REPLICATE,
  )


def _fade(x, full, none):
  """Falls from 1 at `full` to 0 at `none` without a kink (smoothstep)."""
  x = np.clip((none - x) / (none - full), 0, 1)
  return x * x * (3 - 2 * x)


def _contact_line(mask):
  """Corners of the line below the tyres: their columns, and their rows."""
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
  """The lower side of the convex hull of points (Andrew 1979).

  Points come from left to right. Rows count downwards, so the lower side is
  where rows are largest.
  """
  hull = []
  for point in points:
    while len(hull) > 1 and not _turns_up(hull[-2], hull[-1], point):
      hull.pop()
    hull.append(point)
  return hull


def _turns_up(a, b, c):
  return (b[0] - a[0]) * (c[1] - a[1]) < (c[0] - a[0]) * (b[1] - a[1])
