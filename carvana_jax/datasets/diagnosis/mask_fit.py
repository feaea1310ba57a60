"""How well a mask fits its photo, from these two alone.

Along the border of the right mask runs an edge of the photo. What counts is how
steep the photo is there, in units of its mean gradient, and how much of that
points across the border. Shifted, mirrored or turned upside down the right mask
fits less. Contrast, colours and what stands behind the car hardly matter.
"""

from typing import NamedTuple

import cv2
import numpy as np
import scipy.fft

SIDE = 480  # pixels of the longer side at which both are compared
SMALLEST = 96  # of less no verdict is sure
# Halved, a sharp photo has edges as steep, which take twice the share of it: by
# 1.4 in root mean square. In a blurred one they become steeper as well. No
# photo in `train` is above 1.42, most are above 1.5 if blurred by a pixel.
_BLURRED = 1.5
_USUAL = 3.0  # mean gradients: an edge that counts half
_FARTHEST = 8  # the longer side over the farthest shift


class Fit(NamedTuple):
  """How a mask fits its photo; agreements are from 0 to 1."""

  agreement: float
  best: float  # the agreement of the mask shifted to `place`
  place: tuple[float, float]  # down, right; of height and width
  outstanding: float  # the agreement above that of all shifts, in spreads
  mirrored: float  # the agreement of the mask mirrored left to right
  upside_down: float  # the same, turned upside down
  framed: float  # 0..1: share of the picture's outermost pixels that are car
  side: int  # pixels of the longer side at which they were compared


def measure(light: np.ndarray, mask: np.ndarray) -> Fit | None:
  """Compares the edges of a photo with the border of a mask.

  The agreement of both is the mean over the border of (1 + cos 2a) / 2 times
  the weight of the photo's edge, where a is the angle between them.

  Args:
    light: the photo's luminance, uint8 [H, W].
    mask: uint8 [h, w], 0 to 255, of the same proportions.

  Returns:
    How they fit; None for a mask without a border.
  """
  light = _sharp(reduced(light, SIDE))
  mask = cv2.resize(mask, light.shape[::-1], interpolation=cv2.INTER_AREA)
  edges, border = _directed(light, _USUAL), _directed(mask)
  total = 2 * float(border[0].sum())  # of lengths and cosines
  if not total:
    return None
  shifted, middle = _shifted(edges, border / total)
  best = np.unravel_index(shifted.argmax(), shifted.shape)
  # Mirrored, the angles turn the other way.
  turned = border / total * np.float32([[[1]], [[1]], [[-1]]])
  frame = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
  above = float(shifted[middle] - shifted.mean())
  return Fit(
    agreement=float(shifted[middle]),
    best=float(shifted[best]),
    place=tuple(np.subtract(best, middle) / light.shape),
    outstanding=above / max(float(shifted.std()), 1e-9),
    mirrored=float(np.vdot(edges, turned[:, :, ::-1])),
    upside_down=float(np.vdot(edges, turned[:, ::-1])),
    framed=float((frame > 127).mean()),
    side=max(light.shape),
  )


def reduced(pixels: np.ndarray, side: int) -> np.ndarray:
  """Returns them with `side` pixels at the most along the longer side.

  Args:
    pixels: uint8 [H, W].
    side: the most.
  """
  factor = side / max(pixels.shape)
  if factor >= 1:
    return pixels
  size = [max(1, round(x * factor)) for x in pixels.shape[::-1]]
  return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _sharp(light):
  """Returns a photo as small as it is without losing what is sharp in it."""
  steepness = _steepness(light)
  while max(light.shape) >= 2 * SMALLEST:
    half = reduced(light, max(light.shape) // 2)
    before, steepness = steepness, _steepness(half)
    if steepness <= _BLURRED * before:
      break
    light = half
  return light


def _gradient(pixels):
  return [cv2.Scharr(pixels, cv2.CV_32F, *axes) for axes in ((1, 0), (0, 1))]


def _steepness(light):
  """Returns the root mean square of the gradient."""
  across, down = _gradient(light)
  return (cv2.norm(across) ** 2 + cv2.norm(down) ** 2) ** 0.5 / light.size**0.5


def _directed(pixels, usual=None):
  """Returns weights of edges, times (1, cos 2a, sin 2a), float32 [3, H, W].

  Args:
    pixels: uint8 [H, W].
    usual: the gradient whose weight is a half, in units of the mean; None to
      take gradients for weights.
  """
  weight, angle = cv2.cartToPolar(*_gradient(pixels))
  if usual:
    weight /= weight + usual * weight.mean() + 1e-6
  return np.stack([weight, *cv2.polarToCart(weight, 2 * angle)])


def _shifted(edges, border):
  """Returns how much they agree, border shifted, and where it is not.

  Shifts are of whole pixels, down and right; pixels that leave the picture come
  back at the other side.
  """
  spectra = scipy.fft.rfft2(edges) * scipy.fft.rfft2(border).conj()
  sums = scipy.fft.irfft2(spectra.sum(0), edges.shape[1:])
  far = [min(max(sums.shape) // _FARTHEST, (x - 1) // 2) for x in sums.shape]
  window = [slice(2 * x + 1) for x in far]
  return np.roll(sums, far, (0, 1))[*window], tuple(far)
