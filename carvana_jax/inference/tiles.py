"""A photo whose border a second network looks at, tile by tile."""

from typing import Any

import numpy as np

from carvana_jax.datasets import empty_studio
from carvana_jax.datasets.borders import tile_places
from carvana_jax.datasets.empty_studio import EmptyStudio
from carvana_jax.inference.prediction import Given, Input, Prediction
from carvana_jax.masks import from_logits

# (top, left) of the part of the photo that is replaced, and of its tile.
_Cell = tuple[np.ndarray, np.ndarray]


class TiledPhoto:
  """A photo that a second network looks at, tile by tile.

  Attributes:
    photo: as it came.
    cells: the places to look at; [None], an empty tile, where there are none.
    left: how many cells have no answer yet.
    pixels: the photo's, uint8 [H, W, 3].
    coarse: the first network's probability, uint8 [H, W], 0..255.
  """

  def __init__(
    self, photo: Any, prediction: Prediction, number: int, tile: tuple[int, int]
  ):
    """Finds the tiles along the border of the first network's mask.

    Args:
      photo: anything, to be given back with the result.
      prediction: of the first networks, with the photo's pixels.
      number: which of them the second network is for.
      tile: height and width of a tile.
    """
    self.photo = photo
    self._prediction = prediction
    self._number = number
    given = prediction.given
    self.pixels = given.photo
    self._logits = np.array(  # a copy, of which parts will be replaced
      given.inputs[number].enlarge(prediction.logits[number], given.size)
    )
    self.coarse = from_logits.probabilities(from_logits.quantize(self._logits))
    self._tile = tile
    self._studio, self._view = None, 0
    cells = ()
    if tile_places.fits(given.size, tile):
      cells = tile_places.places_along_border(self.coarse, tile)
    # A photo leaves with its last answer, so one without any would stay.
    self.cells = list(cells) or [None]
    self.left = len(self.cells)

  def leave(self) -> None:
    """Leaves the photo to the first network."""
    self.cells, self.left = [None], 1

  def given(self, cell: _Cell | None, channels: int) -> Given:
    """Returns what the second network is given of one of the `cells`.

    Args:
      cell: which one.
      channels: what it takes, see `prepare.input_shape`.
    """
    tile = np.zeros((*self._tile, channels), np.uint8)
    if cell is not None:
      part = self._part(cell[1], self._tile)
      tile[..., :3], tile[..., 3] = self.pixels[part], self.coarse[part]
      if channels > 4:
        tile[..., 4:] = empty_studio.difference(
          self._studio, self._view, self.pixels, part
        )
    return Given((Input(tile, None),), self._tile, None)

  def compare(self, studio: EmptyStudio | None, view: int) -> None:
    """Lets the second network compare the photo with the empty studio.

    Args:
      studio: the one that the car's views show, see `empty_studio.find`.
      view: which of these views the photo is.
    """
    self._studio, self._view = studio, view

  def replace(self, cell: _Cell | None, logits: np.ndarray) -> None:
    """Takes over the inner part of a tile from the second network.

    Args:
      cell: one of the `cells`.
      logits: float32 [h, w], the second network's answer for the whole tile.
    """
    self.left -= 1
    if cell is None:
      return
    place, tile = cell
    margin = tile_places.margin(self._tile)
    size = np.subtract(self._tile, np.multiply(2, margin))
    inner = self._logits[self._part(place, size)]
    inner[:] = logits[self._part(place - tile, inner.shape)]

  def result(self) -> tuple[Any, Prediction]:
    """Returns the photo, and the prediction that both networks make of it."""
    logits = list(self._prediction.logits)
    logits[self._number] = self._logits
    return self.photo, self._prediction._replace(logits=tuple(logits))

  def _part(self, corner, size):
    return tuple(slice(x, x + y) for x, y in zip(corner, size, strict=True))
