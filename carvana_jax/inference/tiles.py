"""A photo whose border a second network looks at, tile by tile."""

import numpy as np

from carvana_jax.datasets.borders import tile_places
from carvana_jax.inference.prediction import Given, Input
from carvana_jax.masks import from_logits


class TiledPhoto:
  """A photo that a second network looks at."""

  def __init__(self, photo, prediction, number, tile):
    self.photo = photo
    self._prediction = prediction
    self._number = number
    given = prediction.given
    self._pixels = given.photo
    box = given.inputs[number].box
    self._logits = np.array(  # a copy, of which parts will be replaced
      from_logits.enlarge(prediction.logits[number], given.size, box)
    )
    self._coarse = from_logits.probabilities(from_logits.quantize(self._logits))
    self._tile = tile
    cells = ()
    if tile_places.fits(given.size, tile):
      cells = tile_places.places_along_border(self._coarse, tile)
    # None: an empty tile. A photo leaves with its last answer, so those without
    # any would pile up.
    self.cells = list(cells) or [None]
    self.left = len(self.cells)

  def given(self, cell):
    """What the second network is given of a cell of the border."""
    tile = np.zeros((*self._tile, 4), np.uint8)
    if cell is not None:
      part = self._part(cell[1], self._tile)
      tile[..., :3], tile[..., 3] = self._pixels[part], self._coarse[part]
    return Given((Input(tile, None),), self._tile, None)

  def replace(self, cell, logits):
    """Takes over what the second network says of a cell."""
    self.left -= 1
    if cell is None:
      return
    place, tile = cell
    margin = tile_places.margin(self._tile)
    size = np.subtract(self._tile, np.multiply(2, margin))
    inner = self._logits[self._part(place, size)]
    inner[:] = logits[self._part(place - tile, inner.shape)]

  def result(self):
    """The photo and what both networks say of it."""
    logits = list(self._prediction.logits)
    logits[self._number] = self._logits
    return self.photo, self._prediction._replace(logits=tuple(logits))

  def _part(self, corner, size):
    return tuple(slice(x, x + y) for x, y in zip(corner, size, strict=True))
