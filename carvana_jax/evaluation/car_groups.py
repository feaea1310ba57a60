"""The body colour of a car by name, to group scores by it."""

import cv2
import numpy as np

# Upper ends of the hues in OpenCV's half degrees, red being at both ends.
_HUES = (
  (9, 'red'), (22, 'brown'), (35, 'yellow'), (85, 'green'), (130, 'blue'),
  (160, 'purple'), (180, 'red'),
)  # fmt: skip
# Black and dark grey paint mirrors the studio alike, so they are one: seen on
# the cars of the training split.
_GREYS = ((162, 'dark'), (205, 'silver'), (256, 'white'))
_COLOURFUL = 90  # saturation, 0..255
_BRIGHT = 40  # value, 0..255, below which no hue can be told
_SHARE = 0.2  # of a car's pixels that are colourful if its paint is


def name_of(photo: np.ndarray, mask: np.ndarray) -> str:
  """The most common hue of a car, or how bright its paint is.

  Args:
    photo: uint8 [H, W, 3]; a small one will do.
    mask: uint8 [H, W], 255 where all is car.

  Returns:
    A name, '' for a photo without car.
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
