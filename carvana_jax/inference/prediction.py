"""What networks are given of a photo, and what they answer."""

from typing import NamedTuple

import numpy as np

from carvana_jax.datasets import fitting
from carvana_jax.masks import from_logits


class Input(NamedTuple):
  """What a network is given of a photo."""

  image: np.ndarray  # uint8 [h, w, C]
  # Of the photo, int32 [4], see `cropping.View`; None: the whole photo.
  box: np.ndarray | None
  # Of the image, int32 [4], what shows the photo, see `fitting.place`; None:
  # all of it.
  part: np.ndarray | None = None

  def enlarge(self, logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges the network's answer, see `from_logits.enlarge`.

    Args:
      logits: float32 [h, w], of the image.
      size: (H, W) of the photo.

    Returns:
      float32 [H, W].
    """
    return from_logits.enlarge(self.cut(logits), size, self.box)

  def cut(self, pixels: np.ndarray) -> np.ndarray:
    """Returns what belongs to the photo, of [h, w] or [h, w, C]."""
    if self.part is None:
      return pixels
    top, left, bottom, right = self.part
    return pixels[top:bottom, left:right]

  @property
  def shown(self) -> tuple[int, int]:
    """Height and width of what belongs to the photo."""
    return self.cut(self.image).shape[:2]


def fit(pixels: np.ndarray, size: tuple[int, int], way: str) -> Input:
  """Brings a photo to a network's size.

  Args:
    pixels: uint8 [H, W, 3].
    size: (h, w) of what the network is given.
    way: one of `fitting.FITS`.
  """
  part = fitting.place(pixels.shape[:2], size, way)
  return Input(fitting.reduce(pixels, size, part), None, part)


class Given(NamedTuple):
  """What all networks are given of a photo."""

  inputs: tuple[Input, ...]  # one a network
  size: tuple[int, int]  # (H, W) of the photo
  photo: np.ndarray | None  # uint8 [H, W, 3], if asked for
  car: int = 0  # the same for photos that were given together


class Prediction(NamedTuple):
  """The networks' answers for a photo, at their own sizes.

  Where a second network looked at tiles, the answer has the photo's size.
  """

  logits: tuple[np.ndarray, ...]  # float32 [h, w], one a network
  given: Given

  def select(self, networks: slice) -> 'Prediction':
    """Returns the answers of some networks only.

    Args:
      networks: which ones, in the order of the runs.
    """
    given = self.given._replace(inputs=self.given.inputs[networks])
    return Prediction(self.logits[networks], given)

  def levels(self) -> np.ndarray:
    """Averages the logits at the photo's size, see `masks.from_logits`.

    What lies outside the crop that one network was given is background,
    whatever the others say: the crop comes from all views of the car.

    Returns:
      Levels, uint8 [H, W].
    """
    enlarged = [
      given.enlarge(logits, self.given.size)
      for logits, given in zip(self.logits, self.given.inputs, strict=True)
    ]
    return from_logits.quantize(sum(enlarged[1:], enlarged[0]) / len(enlarged))
