"""What a trained network says of photos in JAX, to compare files with.

Files compute in float32, and so do the networks here, whatever their
`config.model.dtype` is.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets import prepare
from carvana_jax.exporting.sample_photos import Photo, Sample
from carvana_jax.inference import networks, predictor
from carvana_jax.inference.prediction import Given, Input, Prediction
from carvana_jax.inference.tiles import TiledPhoto
from carvana_jax.portable import facts
from carvana_jax.system import progress
from carvana_jax.training import trained_run

_TILES = 3  # of a photo


def of_photos(
  nets: networks.Networks, sample: Sample, title: str, keep: bool = False
) -> Iterator[tuple[Photo, Prediction]]:
  """Yields photos and what the first network says of them.

  Args:
    nets: the network.
    sample: the photos.
    title: of the progress bar.
    keep: whether the photos' pixels are wanted, too.
  """
  run = _in_float32(dataclasses.replace(nets.runs[0], fine=None))
  given = predictor.inputs(
    sample.cars,
    lambda photo: photo.pixels(),
    [run.config.data],
    keep_photos=keep,
  )
  answers = predictor.predictions([run], given)
  return iter(
    progress.bar(answers, total=sample.count, unit='photo', title=title)
  )


def of_tiles(
  nets: networks.Networks, sample: Sample, title: str
) -> Iterator[tuple[Any, Prediction]]:
  """Yields tiles along the border and what the second network says of them.

  Nothing is known of the empty studio, as in programs that are given the file.

  Args:
    nets: the networks.
    sample: photos, from each of which some tiles are taken.
    title: of the progress bar.
  """
  fine = nets.runs[0].fine
  height, width, channels = prepare.input_shape(fine.config.data)
  size = height, width

  def tiles():
    is_empty = True
    for photo, prediction in of_photos(nets, sample, title, keep=True):
      tiled = TiledPhoto(photo, prediction, 0, size)
      for number in np.linspace(0, len(tiled.cells) - 1, _TILES, dtype=int):
        if tiled.cells[number] is not None:
          is_empty = False
          yield photo, tiled.given(tiled.cells[number], channels)
    if is_empty:  # no border, or photos smaller than tiles
      tile, shown = np.zeros((*size, channels), np.uint8), len(facts.TILE)
      rng = np.random.default_rng(0)
      tile[..., :shown] = rng.integers(0, 256, (*size, shown), np.uint8)
      yield 'noise', Given((Input(tile, None),), size, None)

  return predictor.predictions([_in_float32(fine)], tiles())


def in_float64(run: trained_run.Run, image: np.ndarray) -> np.ndarray:
  """Returns a network's logits in float64, [h, w], of uint8 [h, w, C]."""
  with jax.enable_x64(True):
    variables = jax.tree.map(lambda x: np.asarray(x, np.float64), run.variables)
    model = run.model.clone(dtype=jnp.float64)
    logits = _logits(model, run.config.eval.flip, variables, image[None])
    return np.asarray(logits)[0]


# Compiled once for all images.
_logits = jax.jit(predictor.logits, static_argnums=(0, 1))


def _in_float32(run):
  if run.config.model.dtype == 'float32':
    return run
  return dataclasses.replace(run, model=run.model.clone(dtype=jnp.float32))
