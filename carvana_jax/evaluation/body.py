"""A car's body type, from its shape seen from the side.

The challenge's metadata do not tell it: of the 60 cars at hand, words of model
and trim (Coupe, Convertible, Wagon) give it away for 3, and a model such as
Civic comes in three bodies. The true masks do: a pickup has a bed, a sedan or
coupe a boot, and of those with neither the tall ones are SUVs and vans. The
limits lie where those 60 cars leave gaps. Judged by eye, all get a fitting name
but a convertible, which with its roof closed is a hatchback; the limit between
hatchbacks and SUVs is a matter of taste.
"""

import numpy as np

# What the rendered studio calls its models; no real model is called so.
_TYPES = ('sedan', 'coupe', 'hatchback', 'SUV', 'pickup', 'van')
_NOSE_LEFT, _NOSE_RIGHT = 5, 13  # the views from the side
_ROOF = 0.05  # of the length, in a row of the roof: antennas are narrower
# Heights above the ground as shares of the roof's, where so much of the length
# is in front of it.
_BED = (0.75, 0.82)
_BOOT = (0.85, 0.875)
_TALL = 0.42  # of the picture's height; all cars stand at the same place


def name_of(mask: np.ndarray, view: int, model: str) -> str:
  """The body type, as far as one photo tells it.

  Args:
    mask: bool [H, W], the true one.
    view: 1..16.
    model: of the car, as in the metadata.

  Returns:
    A name; '' if the photo doesn't show the car from the side.
  """
  if model in _TYPES:
    return model
  if view not in (_NOSE_LEFT, _NOSE_RIGHT) or not mask.any():
    return ''
  columns = np.flatnonzero(mask.any(0))
  car = mask[:, columns[0] : columns[-1] + 1]
  if view == _NOSE_RIGHT:
    car = car[:, ::-1]
  length = car.shape[1]
  ground = np.flatnonzero(car.any(1))[-1] + 1
  roof = ground - (np.count_nonzero(car, 1) >= _ROOF * length).argmax()
  height = lambda at: (ground - car[:, int(at * length)].argmax()) / roof
  if height(_BED[0]) < _BED[1]:
    return 'pickup'
  if height(_BOOT[0]) < _BOOT[1]:
    return 'sedan or coupe'
  if roof < _TALL * len(mask):
    return 'hatchback or wagon'
  return 'SUV or van'
