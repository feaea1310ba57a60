"""What networks are given of a photo, and what they answer."""

from typing import NamedTuple

import numpy as np

from carvana_jax.masks import from_logits


class Input(NamedTuple):
  """What a network is given of a photo."""

  image: np.ndarray  # uint8 [h, w, C]
  # Of the photo, int32 [4], see `cropping.View`; None: the whole photo.
  box: np.ndarray | None


class Given(NamedTuple):
  """What all networks are given of a photo."""

  inputs: tuple[Input, ...]  # one a network
  size: tuple[int, int]  # (H, W) of the photo
  photo: np.ndarray | None  # uint8 [H, W, 3], if asked for


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
      from_logits.enlarge(logits, self.given.size, given.box)
      for logits, given in zip(self.logits, self.given.inputs, strict=True)
    ]
    return from_logits.quantize(sum(enlarged[1:], enlarged[0]) / len(enlarged))
