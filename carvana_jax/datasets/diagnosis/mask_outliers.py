"""Masks whose area or box is not what the other masks make one expect.

All spreads are robust: 1.4826 times a median of absolute deviations, which is a
standard deviation where the values are normal, and which a few wrong masks do
not change.
"""

import collections
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from carvana_jax.datasets import spec

MEASURES = ('area', 'from the top', 'from the left', 'height', 'width')
_LOGARITHMIC = ('area', 'height', 'width')

_FEWEST = 3  # cars of a view: the median of two says nothing of either

# In spreads; chosen on the real cars in `train`. No area there is further than
# 4.0 from the others of its view. 2 of 776 masks disagree with their
# neighbours. Of 120 errors planted there one by one all masks that lack a third
# are found, 98 % of those of another car, 96 % of those of the next view, 63 %
# of those shifted by 60 pixels.
_OUTLIER = 5.0
_DISAGREEING = 4.0
# The least spread of each measure: however alike the cars are, a smaller
# deviation is nobody's mistake.
_LEAST = np.array([0.02, 0.003, 0.003, 0.02, 0.02])


class Shape(NamedTuple):
  """The shape of a sound mask, which is neither empty nor full."""

  car_id: str
  view: int  # from 1 on
  area: float  # 0..1 of the picture
  box: np.ndarray  # top, left, bottom, right, 0..1 of height and width


class Oddity(NamedTuple):
  """A mask that is not as expected."""

  position: int  # in the shapes
  measure: str  # of `MEASURES`
  value: float  # 0..1 of the picture, its height or its width
  expected: float
  deviation: float  # in units of what is tolerated, so above 1


def outliers(
  shapes: Sequence[Shape], views: int = spec.VIEWS
) -> tuple[list[Oddity], int]:
  """Finds masks that are much smaller or larger than others of their view.

  What counts is a robust z-score of the logarithm of the area: its difference
  from the median over all cars of the view, divided by the spread of all such
  differences.

  Args:
    shapes: of all masks.
    views: of a turn.

  Returns:
    The oddities, and how many masks were compared.
  """
  values, positions = _by_car(shapes, views)
  usual = _usual(values)[..., :1]
  deviations = values[..., :1] - usual
  spread = np.fmax(_spread(deviations, (0, 1)), _LEAST[0])
  scores = np.abs(deviations) / (spread * _OUTLIER)
  found = [
    _oddity(positions[at[:2]], at[2], values[at], usual[at[1:]], scores[at])
    for at in map(tuple, np.argwhere(scores > 1))
  ]
  return found, int(np.isfinite(scores).sum())


def disagreeing(
  shapes: Sequence[Shape], views: int = spec.VIEWS
) -> tuple[list[Oddity], int]:
  """Finds masks whose area or box disagrees with those of the views beside it.

  Views are a circle. The area of a view and its box (middle, height, width) are
  compared with the mean of the two views beside it, sizes by their logarithms.
  From the difference the median over all cars of that view is taken away; what
  is left is divided by its spread: the geometric mean of that at the view and
  that at all views, because with few cars the first alone is a guess. Where all
  views of a car differ more than those of others, as a long truck's do, more is
  tolerated: by the car's own spread over that of the data set.

  Args:
    shapes: of all masks.
    views: of a turn.

  Returns:
    The oddities, at most one a mask, and how many masks were compared.
  """
  values, positions = _by_car(shapes, views)
  differences = values - _neighbours(values)
  usual = _usual(differences)
  rest = differences - usual
  spread = np.sqrt(_spread(rest, 0) * _spread(rest, (0, 1)))
  spread = np.fmax(spread, _LEAST)  # [views, 5]
  own = np.fmax(_own_spread(rest / spread), 1)  # [cars, 5]
  found = []
  for car, scale, car_positions in zip(values, own, positions, strict=True):
    tolerated = spread * scale * _DISAGREEING
    for view, measure, *scores in _worst_first(car, usual, tolerated):
      value = car[view, measure]
      found.append(_oddity(car_positions[view], measure, value, *scores))
  return found, int(np.isfinite(rest).all(-1).sum())


def _by_car(shapes, count):
  """Returns measures [cars, views, 5], NaN if absent, and all positions."""
  cars = collections.defaultdict(dict)
  for position, shape in enumerate(shapes):
    cars[shape.car_id][shape.view - 1] = position
  values = np.full((len(cars), count, len(MEASURES)), np.nan)
  positions = np.full((len(cars), count), -1)
  for car, views in enumerate(cars.values()):
    for view, position in views.items():
      shape = shapes[position]
      values[car, view] = _measures(shape)
      positions[car, view] = position
  return values, positions


def _measures(shape):
  top, left, bottom, right = shape.box
  # The middle, because a shifted mask moves it more clearly than its edges,
  # which a car's turning moves as well.
  middle = (top + bottom) / 2, (left + right) / 2
  sizes = np.log([shape.area, bottom - top, right - left])
  return [sizes[0], *middle, *sizes[1:]]


def _neighbours(values):
  """Returns the mean of the two views beside each, [..., views, 5]."""
  return (np.roll(values, 1, axis=-2) + np.roll(values, -1, axis=-2)) / 2


def _usual(values):
  """Returns medians over cars, [cars, views, n] -> [views, n]; or NaN."""
  count = np.isfinite(values).sum(0)
  return np.where(count < _FEWEST, np.nan, _median(values, 0))


def _spread(deviations, axis):
  return 1.4826 * _median(np.abs(deviations), axis)


def _own_spread(deviations):
  """Returns the spread of each car's views, [cars, views, n] -> [cars, n].

  It follows from the lower quartile, because three wrong masks change most of
  the views' differences from their neighbours.
  """
  return 3.138 * _quantile(np.abs(deviations), 0.25, 1)


def _median(values, axis):
  return _quantile(values, 0.5, axis)


def _quantile(values, share, axis):
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', RuntimeWarning)  # where there are none
    return np.nanquantile(values, share, axis)


def _worst_first(car, usual, tolerated):
  """Yields (view, measure, expected, score) of one car, [views, 5].

  A wrong view makes those beside it look wrong as well. So, once found, the
  worst one stands corrected to what its neighbours say, before the next is
  looked for.
  """
  car = car.copy()
  left = np.ones(len(car), bool)
  while left.any():
    expected = _neighbours(car) + usual
    scores = np.abs(car - expected) / tolerated
    scores = np.where(np.isfinite(scores) & left[:, None], scores, 0)
    view, measure = np.unravel_index(scores.argmax(), scores.shape)
    if scores[view, measure] <= 1:
      return
    yield view, measure, expected[view, measure], scores[view, measure]
    car[view] = expected[view]
    left[view] = False


def _oddity(position, measure, value, expected, score):
  name = MEASURES[measure]
  if name in _LOGARITHMIC:
    value, expected = np.exp([value, expected])
  return Oddity(int(position), name, *map(float, (value, expected, score)))
