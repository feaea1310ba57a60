"""A car without its background: soft border, clean colours.

A probability is not an opacity: enlarged from a small network, it takes 10 to
30 pixels to get from 0 to 1, whereas the car itself ends within two. All that
counts is the line on which it crosses the threshold, which is known to a
fraction of a pixel. Pixels on that line show a mixture of car and studio, so
their colour is estimated anew; otherwise a white rim would remain.
"""

import cv2
import numpy as np

from carvana_jax.masks import cleaning, distance, from_logits

_REACH = 4  # pixels from a mixed colour to the pure ones that explain it
_SQUARE = np.ones((3, 3), np.uint8)


def alpha(levels: np.ndarray, mask: np.ndarray, threshold: float) -> np.ndarray:
  """Returns the opacity of a car, with a ramp of two pixels at its border.

  Args:
    levels: uint8 [H, W], probabilities, see `masks.from_logits`.
    mask: bool [H, W], the levels at the threshold, cleaned; where the two
      differ, as in holes that were filled, the mask counts.
    threshold: the probability, 0..1, from which on a pixel is car.

  Returns:
    uint8 [H, W], at least 128 exactly where the mask is true; 0 or 255 where no
    neighbouring pixel is on the other side of the mask's border.
  """
  opacity = np.zeros(mask.shape, np.uint8)
  part = around(mask, 4)  # more than the filters below reach
  mask = mask[part]
  nearest = distance.signed(mask)
  ramp = _distance_to_contour(levels[part], threshold)
  # A contour passes between two pixels, less than half a pixel from the middle.
  ramp = np.clip(ramp, nearest - 0.49, nearest + 0.49)
  opacity[part] = np.rint(127.5 + 127.5 * np.clip(ramp, -1, 1))
  return opacity


def _distance_to_contour(levels, threshold):
  """Estimates the signed distance to where levels cross the threshold.

  To first order, it is the excess over the threshold divided by the slope
  (Taubin 1994).
  """
  # Smoothed, or a step between two pixels would have half of its slope.
  levels = cv2.GaussianBlur(levels.astype(np.float32), (5, 5), 1.0)
  slope = cv2.magnitude(
    cv2.Scharr(levels, cv2.CV_32F, 1, 0, scale=1 / 32),
    cv2.Scharr(levels, cv2.CV_32F, 0, 1, scale=1 / 32),
  )
  # A level stands for the middle of its range.
  above = levels + 0.5 - from_logits.level_of(threshold)
  return above / np.maximum(slope, 1e-3)


def decontaminate(photo: np.ndarray, alpha: np.ndarray) -> np.ndarray:
  """Estimates the car's own colour where it is mixed with the background's.

  As in blur fusion (Forte 2021, "Approximate Fast Foreground Colour
  Estimation"), both colours are means over a window. Two things differ. Pure
  pixels are near, as the ramp is short, so the means are of those alone. And a
  lens blurs more than the ramp, so a pixel's share of the background is told
  from its colour, by where it lies between the two means.

  Args:
    photo: uint8 [H, W, 3].
    alpha: uint8 [H, W], see `alpha`.

  Returns:
    uint8 [H, W, 3], the photo's own colours except where alpha is neither 0 nor
    255, and beside such pixels.
  """
  colours = photo.copy()
  part = around(alpha > 0, _REACH)
  photo, alpha = photo[part], alpha[part]
  inner = cv2.erode((alpha == 255).view(np.uint8), _SQUARE)
  mixed = (alpha > 0) & (inner == 0)
  car = _mean_near(photo, alpha == 255, mixed)
  background = _mean_near(photo, alpha == 0, mixed)
  between = car - background
  # The projection on the line from one mean to the other, 1 at the car's.
  share = ((photo[mixed] - background) * between).sum(1, keepdims=True)
  share /= np.maximum(np.square(between).sum(1, keepdims=True), 1)
  unmixed = photo[mixed] + (1 - np.clip(share, 0, 1)) * between
  colours[part][mixed] = np.rint(np.clip(unmixed, 0, 255))
  return colours


def _mean_near(photo, pure, places):
  """Averages the colours of the pure pixels around some places.

  Args:
    photo: uint8 [H, W, 3].
    pure: bool [H, W]; pixels at its border count only where there are no
      others, as in thin things.
    places: bool [H, W], N of them true.

  Returns:
    float32 [N, 3]; a place without any pure pixel around keeps its own colour.
  """
  means = photo[places].astype(np.float32)
  pure = pure.view(np.uint8)
  for pixels in (pure, cv2.erode(pure, _SQUARE)):
    count = _sum_near(pixels)[places, None]
    total = _sum_near(cv2.copyTo(photo, pixels))[places]
    means = np.where(count > 0, total / np.maximum(count, 1), means)
  return means


def _sum_near(pixels):
  window = (2 * _REACH + 1,) * 2
  return cv2.boxFilter(
    pixels, cv2.CV_32F, window, normalize=False, borderType=cv2.BORDER_CONSTANT
  )


def cut_out(photo: np.ndarray, alpha: np.ndarray, trim: bool) -> np.ndarray:
  """Joins colours and opacity; the colours are not multiplied by it.

  Args:
    photo: uint8 [H, W, 3], see `decontaminate`.
    alpha: uint8 [H, W], see `alpha`.
    trim: whether to leave out rows and columns beside the largest part. A
      photo without a car stays whole.

  Returns:
    uint8 [h, w, 4], RGBA. It is black where alpha is 0, except beside the car,
    as viewers that scale a picture mix these pixels in.
  """
  seen = alpha > 0
  beside = cv2.dilate(seen.view(np.uint8), _SQUARE)
  cut = cv2.merge([*cv2.split(cv2.copyTo(photo, beside)), alpha])
  if trim and seen.any():
    return cut[around(cleaning.keep_largest(seen), 0)]
  return cut


def around(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
  """Returns the part of a picture that holds a mask.

  Args:
    mask: bool [H, W].
    margin: how many pixels the part is to reach beyond it on each side, where
      the picture does not end before.

  Returns:
    The rows and the columns.
  """
  left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
  return (
    slice(max(top - margin, 0), top + height + margin),
    slice(max(left - margin, 0), left + width + margin),
  )
