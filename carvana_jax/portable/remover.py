"""Photos to masks, cut-outs and composites, in a few lines of Python.

from carvana_jax import Remover

remover = Remover()
removed = remover('car.jpg')
PIL.Image.fromarray(removed.cutout()).save('car.png')
"""

import functools
import os
import pathlib

import numpy as np

from carvana_jax.datasets import names
from carvana_jax.inference.prediction import Given, Prediction, fit
from carvana_jax.inference.tiles import TiledPhoto
from carvana_jax.masks import from_logits, layers
from carvana_jax.portable import facts, pictures, session
from carvana_jax.system.errors import UserError

# In the package.
_OWN = pathlib.Path(__file__).parents[1] / 'weights' / 'carvana.onnx'


class Remover:
  """Removes the background from photos, with the weights that come along.

  Calling it with a photo returns a `Removed`. Several threads may do so at
  once.
  """

  def __init__(
    self,
    file: str | os.PathLike | None = None,
    fine: str | os.PathLike | bool | None = None,
    threads: int | None = None,
  ):
    """Loads the networks.

    Args:
      file: a trained network, an .onnx or .safetensors file of `python -m
        carvana_jax.export`; None for the weights of the package.
      fine: the second network, which looks at the border again, tile by tile;
        True for the one beside `file`, X-fine.onnx; None for that, if there is
        one; False for none, which is faster and less exact.
      threads: how many cores work on a photo; None for all at hand.

    Raises:
      UserError: a file is missing, damaged, of another program, or of a network
        that needs more than one photo; or `threads` is no number of cores.
    """
    if threads is not None and (not isinstance(threads, int) or threads < 1):
      raise UserError(f'threads is {threads!r}; give a whole number from 1 on.')
    graph = session.graph_of(_OWN if file is None else file)
    self._first = session.open(graph, threads)
    _refuse_other(graph, self._first.facts, facts.RGB)
    self._second = None
    beside = graph.with_name(f'{graph.stem}-fine.onnx')
    if fine is True or (fine is None and beside.is_file()):
      fine = beside
    if fine:
      self._second = session.open(fine, threads)
      _refuse_other(fine, self._second.facts, facts.TILE)
    self._name, self._arguments = graph.name, (file, fine, threads)

  def __reduce__(self):
    return Remover, self._arguments  # another process loads the files itself

  @property
  def facts(self) -> facts.Facts:
    """What the file of the first network says of it."""
    return self._first.facts

  def __call__(self, image: pictures.Picture) -> 'Removed':
    """Finds the object in a photo.

    Args:
      image: a path, the bytes of a file (JPG, PNG, WebP, TIFF, BMP, AVIF or,
        with pillow-heif, HEIC), one of Pillow's images, or uint8 [H, W, 3] in
        sRGB. All but the array are turned upright and converted to sRGB.

    Raises:
      UserError: the photo can't be read, is damaged, or of another kind.
    """
    photo = pictures.pixels(image)
    return Removed(photo, self._levels(photo), self.facts)

  def __repr__(self) -> str:
    sizes = [_size(self.facts.size)]
    if self._second:
      sizes.append(f'tiles of {_size(self._second.facts.size)}')
    return f'<Remover {self._name}: {self.facts.object}, {" and ".join(sizes)}>'

  def _levels(self, photo):
    """Returns uint8 [H, W], see `from_logits`, of uint8 [H, W, 3]."""
    reduced = fit(photo, self.facts.size, self.facts.fit)
    logits = self._first.logits(reduced.image[None])
    given = Given((reduced,), photo.shape[:2], photo)
    prediction = Prediction(tuple(logits), given)
    if self._second:
      prediction = self._look_again(prediction)
    return prediction.levels()

  def _look_again(self, prediction):
    tiled = TiledPhoto(None, prediction, 0, self._second.facts.size)
    if tiled.cells[0] is None:  # nothing is in doubt
      return prediction
    channels = len(self._second.facts.inputs)
    tiles = [tiled.given(cell, channels) for cell in tiled.cells]
    answers = self._second.logits(np.stack([x.inputs[0].image for x in tiles]))
    for cell, answer in zip(tiled.cells, answers, strict=True):
      tiled.replace(cell, answer)
    return tiled.result()[1]


class Removed:
  """What was found in a photo.

  Attributes:
    photo: uint8 [H, W, 3], sRGB, upright.
    levels: uint8 [H, W], the probabilities, see `from_logits`.
    mask: bool [H, W], where the object is.
  """

  def __init__(self, photo: np.ndarray, levels: np.ndarray, about: facts.Facts):
    """Makes the mask.

    Args:
      photo: uint8 [H, W, 3].
      levels: uint8 [H, W].
      about: the network.
    """
    self.photo = photo
    self.mask = from_logits.mask_at(levels, about.threshold, about.cleaning)
    self.levels, self._about = levels, about

  @property
  def probability(self) -> np.ndarray:
    """The probability of each pixel, uint8 [H, W], 0..255 for 0..1."""
    return from_logits.probabilities(self.levels)

  @property
  def is_empty(self) -> bool:
    """Whether the photo shows no object, or a speck at most."""
    return from_logits.is_empty(self.mask)

  def cutout(self, trim: bool = False) -> np.ndarray:
    """Returns the object with soft edges on a transparent background.

    Args:
      trim: whether the picture ends where the object ends.

    Returns:
      uint8 [h, w, 4], RGBA, the colours not multiplied by the opacity.
    """
    return self._layers.cut_out(trim)

  def composite(
    self, background: pictures.Picture, shadow: str = 'own'
  ) -> np.ndarray:
    """Returns the object on another background.

    Args:
      background: a colour such as 'white' or '#00b900', or a picture, as the
        photo is given; it is scaled until it fills the photo's size.
      shadow: 'own', the one in the photo, 'synthetic' or 'none'.

    Returns:
      uint8 [H, W, 3], RGB.

    Raises:
      UserError: the background can't be read, or there is no such shadow.
    """
    if shadow not in names.SHADOWS:
      raise UserError(
        f'{shadow!r} is no shadow; choose from {", ".join(names.SHADOWS)}.'
      )
    return self._layers.composite(pictures.background(background), shadow)

  def __repr__(self) -> str:
    share = np.count_nonzero(self.mask) / self.mask.size
    return (
      f'<Removed {_size(self.mask.shape)}: {share:.1%} {self._about.object}>'
    )

  @functools.cached_property
  def _layers(self):
    return layers.take_apart(
      self.photo, self.levels, self.mask, self._about.threshold
    )


def _refuse_other(file, about, inputs):
  if about.inputs == inputs:
    return
  if about.inputs == facts.TILE:
    reason = 'is a second network, of no use alone'
    remedy = 'give the first one as `file` and this one as `fine`'
  elif inputs == facts.TILE:
    reason, remedy = 'is no second network', 'give it as `file`'
  else:
    reason = 'compares all views of an object, and cannot judge a single photo'
    remedy = 'give another network'
  raise UserError(f'{file} {reason}; {remedy}.')


def _size(size):
  return f'{size[0]}x{size[1]}'
