"""A photo taken apart: its car, with colours and opacity, and its shadow."""

from typing import NamedTuple

import numpy as np

from carvana_jax.masks import composite, cutout, shadow


class Layers(NamedTuple):
  """A photo, its mask, and what both tell of the car alone."""

  photo: np.ndarray  # uint8 [H, W, 3]
  mask: np.ndarray  # bool [H, W]
  alpha: np.ndarray  # uint8 [H, W], see `cutout.alpha`
  colours: np.ndarray  # uint8 [H, W, 3], see `cutout.decontaminate`

  def cut_out(self, trim: bool) -> np.ndarray:
    """Returns the car on nothing, see `cutout.cut_out`.

    Args:
      trim: whether it ends where the car ends.

    Returns:
      uint8 [h, w, 4], RGBA.
    """
    return cutout.cut_out(self.colours, self.alpha, trim)

  def composite(self, background: np.ndarray, kind: str) -> np.ndarray:
    """Returns the car on a background.

    Args:
      background: uint8 [h, w, 3], of any size, see `composite.fill_frame`.
      kind: of the shadow, one of `names.SHADOWS`.

    Returns:
      uint8 [H, W, 3].
    """
    behind = composite.fill_frame(background, *self.mask.shape)
    matte = shadow.matte(self.photo, self.mask, kind)
    return composite.compose(self.colours, self.alpha, behind, matte)


def take_apart(
  photo: np.ndarray, levels: np.ndarray, mask: np.ndarray, threshold: float
) -> Layers:
  """Takes a photo apart.

  Args:
    photo: uint8 [H, W, 3].
    levels: uint8 [H, W], probabilities, see `masks.from_logits`.
    mask: bool [H, W], made of them.
    threshold: the probability, 0..1, from which on a pixel is car.
  """
  alpha = cutout.alpha(levels, mask, threshold)
  return Layers(photo, mask, alpha, cutout.decontaminate(photo, alpha))
