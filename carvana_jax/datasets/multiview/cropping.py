"""What all views of a car together tell about each: where the car is.

The studio's camera and background stand still while the turntable turns the
car. So the mean and the median over a car's views show the studio without it,
or nearly so, and what differs from them in a view is the car. The idea is that
of a published notebook, which crops photos by their difference from the mean
and gives the network their difference from the median.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.datasets import images
from carvana_jax.system import threads

FRAME = (320, 480)  # height, width in which views are compared

# Chosen on the masks of the real cars in `train`. Their boxes are 40 % of the
# photo, and none loses a thousandth of its car, nor would at a threshold of 9.
_SMOOTHING = 9  # pixels of the frame, a square's side
_THRESHOLD = 8.0  # levels of 0..255 a pixel of the frame
_MARGIN = 6  # pixels of the frame

# Of a group of own photos, all of which are held in memory.
MOST_VIEWS = 64

_STRIPS = 8  # the median's parts, so that all cores have some


class View(NamedTuple):
  """One view of a car, cropped to the car."""

  image: np.ndarray  # uint8 [h, w, 3], the photo's crop, area-averaged
  # uint8 [h, w, 3], |view - median over the views|, cropped alike
  difference: np.ndarray
  # int32 [4]: top, left, bottom, right in the photo's pixels, the last two
  # exclusive
  box: np.ndarray


def views(photos: Sequence[np.ndarray], height: int, width: int) -> list[View]:
  """Crops each photo of one car to the car.

  Args:
    photos: uint8 [H, W, 3] each, one or more, all of one size. A single one
      has nothing to be compared with: its difference is zero, and its box is
      the whole photo.
    height: of the crops, in pixels.
    width: of the crops, in pixels.

  Returns:
    As many views as photos, in their order.
  """
  reduced = threads.ordered_map(lambda photo: resize(photo, *FRAME), photos)
  frames = np.stack(list(reduced))
  mean, median = mean_of(frames), median_of(frames)

  def view(number: int) -> View:
    photo, frame = photos[number], frames[number]
    box = place(find_car(frame, mean, len(frames)), *photo.shape[:2])
    # At the photo's size the box is whole pixels for both.
    difference = resize(difference_of(frame, median), *photo.shape[:2])
    crops = (cut(x, box, height, width) for x in (photo, difference))
    return View(*crops, box)

  return list(threads.ordered_map(view, range(len(photos))))


def cut(
  pixels: np.ndarray, box: np.ndarray, height: int, width: int
) -> np.ndarray:
  """Cuts a box out of an image, and resizes it as `resize` does.

  Args:
    pixels: uint8 [H, W] or [H, W, 3].
    box: int [4]: top, left, bottom, right, the last two exclusive.
    height: of the result.
    width: of the result.

  Returns:
    uint8 [height, width] or [height, width, 3].
  """
  top, left, bottom, right = box
  return resize(pixels[top:bottom, left:right], height, width)


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
  """Resizes uint8 [H, W] or [H, W, 3] to [height, width(, 3)].

  An axis that gets shorter is averaged over areas, as in `images.reduce`; one
  that gets longer is interpolated linearly, so that no value lies outside
  those of its neighbours.
  """
  before = pixels.shape[:2]
  pixels = images.reduce(pixels, min(height, before[0]), min(width, before[1]))
  return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)


def mean_of(frames: np.ndarray) -> np.ndarray:
  """Returns the mean of uint8 [n, h, w, 3]: float32 [h, w, 3], 0..255."""
  return frames.mean(0, dtype=np.float32)


def median_of(frames: np.ndarray) -> np.ndarray:
  """Returns the median of uint8 [n, h, w, 3]: float32 [h, w, 3], 0..255.

  Of an even number of values it is the mean of the two in the middle. All cores
  share the work.
  """
  strips = np.array_split(frames, _STRIPS, axis=1)
  medians = threads.ordered_map(lambda strip: np.median(strip, 0), strips)
  return np.concatenate(list(medians)).astype(np.float32)


def difference_of(frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
  """Returns |frame - reference|, rounded, uint8 [h, w, 3].

  Args:
    frame: uint8 [h, w, 3].
    reference: float32 [h, w, 3], 0..255.
  """
  return np.rint(np.abs(frame - reference)).astype(np.uint8)


def find_car(frame: np.ndarray, mean: np.ndarray, count: int) -> np.ndarray:
  """Finds the box around everything in a frame that the other views lack.

  It looks at the slope of the difference from the mean, not at the difference
  itself: shadows and reflections on the floor differ as much as many a car
  does, but smoothly, and so do the traces that the other views' cars leave in
  the mean. The slope's mean over a small square tells outlines and aerials from
  noise.

  Args:
    frame: uint8 [h, w, 3], one of the views.
    mean: float32 [h, w, 3], over all views.
    count: how many views there are.

  Returns:
    int32 [4]: top, left, bottom, right, the last two exclusive. The box has a
    margin, and is the whole frame where nothing differs.
  """
  # The frame is part of the mean: undo that, so that two views differ no less
  # than sixteen.
  difference = (frame - mean) * (count / max(count - 1, 1))
  slope = np.hypot(
    cv2.Sobel(difference, cv2.CV_32F, 1, 0, scale=1 / 8),
    cv2.Sobel(difference, cv2.CV_32F, 0, 1, scale=1 / 8),
  ).max(2)
  is_car = cv2.blur(slope, (_SMOOTHING, _SMOOTHING)) > _THRESHOLD
  height, width = is_car.shape
  if not is_car.any():
    return np.array([0, 0, height, width], np.int32)
  rows, columns = (np.flatnonzero(is_car.any(axis)) for axis in (1, 0))
  first = np.array([rows[0], columns[0]]) - _MARGIN
  last = np.array([rows[-1], columns[-1]]) + 1 + _MARGIN
  box = [np.maximum(first, 0), np.minimum(last, is_car.shape)]
  return np.concatenate(box).astype(np.int32)


def place(box: np.ndarray, height: int, width: int) -> np.ndarray:
  """Converts a box from the frame's pixels to a photo's.

  Args:
    box: int32 [4], in pixels of the frame.
    height: of the photo.
    width: of the photo.

  Returns:
    int32 [4], in pixels of the photo; those that are covered in part are in it.
  """
  first, last = box[:2] * (height, width), box[2:] * (height, width)
  return np.concatenate([first // FRAME, -(-last // FRAME)]).astype(np.int32)
