"""A car without its background: soft border, clean colours, PNG and WebP.

A probability is no opacity: enlarged from a small network it needs 10 to 30
pixels from 0 to 1, where the car itself ends within two. Only the line on which
it crosses the threshold counts, which is known to a fraction of a pixel. Pixels
on that line show car and studio mixed, so their colour is estimated anew; a
white rim would remain otherwise.
"""

import io

import cv2
import numpy as np
from PIL import Image

from carvana_jax.masks import cleaning, distance, from_logits

_REACH = 4  # pixels from a mixed colour to the unmixed ones it is told from
_SQUARE = np.ones((3, 3), np.uint8)


def alpha(levels: np.ndarray, mask: np.ndarray, threshold: float) -> np.ndarray:
  """Opacity with a ramp of two pixels where the mask ends.

  Args:
    levels: uint8 [H, W], probabilities, see `masks.from_logits`.
    mask: bool [H, W], from the levels at the threshold; it is believed where
      it differs, as in holes that were filled.
    threshold: 0..1.

  Returns:
    uint8 [H, W], 128 and above exactly where the mask is true; 0 or 255 where
    no pixel beside is on the other side of the mask's border.
  """
  found = np.zeros(mask.shape, np.uint8)
  part = _around(mask, 4)  # more than the filters below reach
  mask = mask[part]
  nearest = distance.signed(mask)
  ramp = _distance_to_contour(levels[part], threshold)
  # A contour passes between two pixels, less than half a pixel from the middle.
  ramp = np.clip(ramp, nearest - 0.49, nearest + 0.49)
  found[part] = np.rint(127.5 + 127.5 * np.clip(ramp, -1, 1))
  return found


def _distance_to_contour(levels, threshold):
  """Signed distance to where levels cross the threshold, to first order.

  The value above the threshold over the slope (Taubin 1994).
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
  """Colours of the car alone, where a pixel shows car and background mixed.

  As in blur fusion (Forte 2021, "Approximate Fast Foreground Colour
  Estimation"), both colours are means over a window. Two things differ. With a
  ramp as short as this, unmixed pixels are near, so the means are of those
  alone. And a lens blurs more than the ramp, so a pixel's share of the
  background is told from its colour: where it lies between the two means.

  Args:
    photo: uint8 [H, W, 3].
    alpha: uint8 [H, W].

  Returns:
    uint8 [H, W, 3], the photo's own colours but where alpha is neither 0 nor
    255, and beside such pixels.
  """
  found = photo.copy()
  part = _around(alpha > 0, _REACH)
  found[part] = _unmixed(photo[part], alpha[part])
  return found


def _unmixed(photo, alpha):
  inner = cv2.erode(_bits(alpha == 255), _SQUARE)
  mixed = (alpha > 0) & (inner == 0)
  car = _mean_near(photo, alpha == 255, mixed)
  background = _mean_near(photo, alpha == 0, mixed)
  between = car - background
  # The projection on the line from one mean to the other, 1 at the car's.
  share = ((photo[mixed] - background) * between).sum(1, keepdims=True)
  share /= np.maximum(np.square(between).sum(1, keepdims=True), 1)
  unmixed = photo[mixed] + (1 - np.clip(share, 0, 1)) * between
  found = photo.copy()
  found[mixed] = np.rint(np.clip(unmixed, 0, 255))
  return found


def _mean_near(photo, pure, places):
  """Mean colour of pure pixels around places; the place's own without any.

  Args:
    photo: uint8 [H, W, 3].
    pure: bool [H, W]; the border of what is true counts only where there is
      nothing else, as in thin things.
    places: bool [H, W], N of them true.

  Returns:
    float32 [N, 3].
  """
  found = photo[places].astype(np.float32)
  pure = _bits(pure)
  for pixels in (pure, cv2.erode(pure, _SQUARE)):
    count = _sum_near(pixels)[places, None]
    total = _sum_near(cv2.copyTo(photo, pixels))[places]
    found = np.where(count > 0, total / np.maximum(count, 1), found)
  return found


def _sum_near(pixels):
  return cv2.boxFilter(
    pixels,
    cv2.CV_32F,
    (2 * _REACH + 1,) * 2,
    normalize=False,
    borderType=cv2.BORDER_CONSTANT,
  )


def cut_out(photo: np.ndarray, alpha: np.ndarray, trim: bool) -> np.ndarray:
  """Colours with their opacity, not multiplied by it.

  Args:
    photo: uint8 [H, W, 3], decontaminated.
    alpha: uint8 [H, W].
    trim: whether to leave out rows and columns beside the largest part. A
      photo without car stays whole.

  Returns:
    uint8 [h, w, 4]. Black where alpha is 0, but for pixels beside the car:
    viewers that scale a picture mix them in.
  """
  seen = alpha > 0
  beside = cv2.dilate(_bits(seen), _SQUARE)
  found = cv2.merge([*cv2.split(cv2.copyTo(photo, beside)), alpha])
  if trim and seen.any():
    found = found[_around(cleaning.keep_largest(seen), 0)]
  return found


def encode_png(cut: np.ndarray) -> bytes:
  """uint8 [H, W, 4], RGBA -> PNG bytes."""
  fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
  pixels = cv2.cvtColor(cut, cv2.COLOR_RGBA2BGRA)
  return cv2.imencode('.png', pixels, fast)[1].tobytes()


def encode_webp(cut: np.ndarray, quality: int) -> bytes:
  """uint8 [H, W, 4], RGBA -> WebP bytes.

  Args:
    cut: RGBA; its alpha is kept as it is.
    quality: 0..100, of the colours.
  """
  file = io.BytesIO()
  Image.fromarray(cut).save(file, 'WEBP', quality=quality)
  return file.getvalue()


def _around(mask, margin):
  """The part of bool [H, W] that holds all that is true, and a margin."""
  left, top, width, height = cv2.boundingRect(_bits(mask))
  return (
    slice(max(top - margin, 0), top + height + margin),
    slice(max(left - margin, 0), left + width + margin),
  )


def _bits(pixels):
  return pixels.view(np.uint8)
