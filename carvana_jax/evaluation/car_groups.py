"""Body colour and body type of a car, to group scores by them.

The challenge's metadata do not tell the body type: of the 60 cars at hand, only
3 are given away by words in model and trim (Coupe, Convertible, Wagon), and a
model such as Civic comes in three bodies. The true masks do tell: a pickup has
a bed, a sedan or coupe has a boot, and of those with neither, the tall ones are
SUVs and vans. The limits lie where those 60 cars leave gaps. Judged by eye, all
get a fitting name except a convertible, which with its roof closed becomes a
hatchback; the limit between hatchbacks and SUVs is a matter of taste.
"""

import cv2
import numpy as np

# Upper ends of the hues in OpenCV's half degrees, red being at both ends.
_HUES = (
  (9, 'red'), (22, 'brown'), (35, 'yellow'), (85, 'green'), (130, 'blue'),
  (160, 'purple'), (180, 'red'),
)  # fmt: skip
# Black and dark grey paint mirror the studio alike, as seen on the cars of the
# training split, so they are one.
_GREYS = ((162, 'dark'), (205, 'silver'), (256, 'white'))
_COLOURFUL = 90  # saturation, 0..255
_BRIGHT = 40  # value, 0..255, below which no hue can be told
_SHARE = 0.2  # of a car's pixels that are colourful if its paint is

# What the rendered studio calls its models; no real model is called so.
_TYPES = ('sedan', 'coupe', 'hatchback', 'SUV', 'pickup', 'van')
_NOSE_LEFT, _NOSE_RIGHT = 5, 13  # the views from the side
_ROOF = 0.05  # of the length, in a row of the roof: antennas are narrower
# Heights above the ground as shares of the roof's, where so much of the length
# is in front of it.
_BED = (0.75, 0.82)
_BOOT = (0.85, 0.875)
_TALL = 0.42  # of the picture's height; all cars stand at the same place


def colour_of(photo: np.ndarray, mask: np.ndarray) -> str:
  """Names the most common hue of a car, or how bright its paint is.

  Args:
    photo: uint8 [H, W, 3]; a small one will do.
    mask: uint8 [H, W], 255 where all of the pixel is car.

  Returns:
    A name such as 'red' or 'silver'; '' if the photo shows no car.
  """
  pixels = photo[mask == 255]
  if not len(pixels):
    return ''
  hue, saturation, value = cv2.cvtColor(pixels[None], cv2.COLOR_RGB2HSV)[0].T
  colourful = (saturation > _COLOURFUL) & (value > _BRIGHT)
  if colourful.mean() > _SHARE:
    ends = [end for end, _ in _HUES]
    bins = np.searchsorted(ends, hue[colourful], side='right')
    return _HUES[np.bincount(bins).argmax()][1]
  # Windows, tyres and shadows are dark on every car: the paint is what is
  # brighter than most.
  paint = np.percentile(value, 70)
  return next(name for end, name in _GREYS if paint < end)


def body_of(mask: np.ndarray, view: int, model: str) -> str:
  """Names the body type of a car, as far as one photo tells it.

  Args:
    mask: bool [H, W], the true mask.
    view: the number of the view, 1..16.
    model: the car's model, as in the metadata.

  Returns:
    A name such as 'pickup'; '' if the photo doesn't show the car from the side.
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
