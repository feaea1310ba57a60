"""Where a photo lies in the picture that a network is given.

A picture may be filled by stretching the photo, or the photo keeps its shape,
is centred, and its edges are repeated around it: pixels and mask alike, so that
an object that is cut by the photo's edge goes on.
"""

import cv2
import numpy as np

from carvana_jax.datasets import images

FITS = ('stretch', 'pad')
# Of height to width: by how much the shapes of photo and picture may differ for
# the photo to be stretched all the same.
ALIKE = 1.02


def place(
  photo_size: tuple[int, int], size: tuple[int, int], fit: str
) -> np.ndarray | None:
  """Returns the part of a picture that a photo fills.

  Args:
    photo_size: (H, W) of the photo.
    size: (h, w) of the picture.
    fit: one of `FITS`.

  Returns:
    int32 [4]: top, left, bottom, right in the picture, the latter two
    exclusive; None where it is all of the picture.
  """
  if fit == 'stretch':
    return None
  down, across = (x / y for x, y in zip(size, photo_size, strict=True))
  if max(down, across) <= ALIKE * min(down, across):
    return None
  scale = min(down, across)
  inner = [
    max(1, min(most, round(scale * length)))
    for length, most in zip(photo_size, size, strict=True)
  ]
  top, left = ((x - y) // 2 for x, y in zip(size, inner, strict=True))
  return np.array([top, left, top + inner[0], left + inner[1]], np.int32)


def reduce(
  pixels: np.ndarray, size: tuple[int, int], part: np.ndarray | None
) -> np.ndarray:
  """Brings a photo or a mask to a picture's size, see `images.reduce`.

  Args:
    pixels: uint8 [H, W] or [H, W, 3].
    size: (h, w) of the picture.
    part: of the picture, that the photo fills, see `place`.

  Returns:
    uint8 [h, w] or [h, w, 3].
  """
  if part is None:
    return images.reduce(pixels, *size)
  top, left, bottom, right = map(int, part)
  small = images.reduce(pixels, bottom - top, right - left)
  margins = top, size[0] - bottom, left, size[1] - right
  return cv2.copyMakeBorder(small, *margins, cv2.BORDER_REPLICATE)
