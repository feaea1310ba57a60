"""Predicts at full size on N host devices; run by `predictor_test.py`.

    python -m tests.helpers.predictions_on_devices N FILE.npz

Writes the levels of two networks, one of which mirrors its photos and one of
which is given crops and differences, for several batch sizes.
"""

import functools
import sys

import chex
import jax
import numpy as np

from carvana_jax import models
from carvana_jax.configs import default
from carvana_jax.datasets import prepare
from carvana_jax.inference import predictor
from carvana_jax.parallel import devices
from carvana_jax.training import trained_run

SIZE = (96, 150)
BATCH_SIZES = (1, 6)


def photos() -> list[np.ndarray]:
  """Views of a car: seven photos with a square before one background."""
  rng = np.random.default_rng(0)
  background = rng.integers(0, 256, (*SIZE, 3), np.uint8)
  views = [background.copy() for _ in range(7)]
  for number, view in enumerate(views):
    view[30:70, 10 * number : 10 * number + 60] = rng.integers(0, 256, 3)
  return views


def run_of(multiview: bool) -> trained_run.Run:
  """A network with random parameters."""
  config = default.get_config()
  config.data.size, config.data.multiview = '32x48', multiview
  config.model.update(levels=2, encoder_convs=1, decoder_convs=1)
  config.model.first_width = 4
  config.eval.flip = not multiview
  model = models.build(config.model)
  image = np.zeros((1, *prepare.input_shape(config.data)), np.float32)
  create = functools.partial(model.init, train=False)
  rng = np.random.default_rng(1)
  variables = jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32),
    jax.eval_shape(create, jax.random.key(0), image),
  )
  # Variances are positive.
  variables['batch_stats'] = jax.tree.map(np.abs, variables['batch_stats'])
  return trained_run.Run(
    config, model, devices.replicate(variables), step=1, data=''
  )


def main(device_count: int, path: str) -> None:
  """Predicts and writes."""
  chex.set_n_cpu_devices(device_count)
  views = photos()
  arrays = {}
  runs = [run_of(multiview) for multiview in (False, True)]
  configs = [run.config.data for run in runs]
  for batch_size in BATCH_SIZES:
    runs[0].config.eval.batch_size = batch_size
    given = predictor.inputs([range(7)], views.__getitem__, configs)
    for number, prediction in predictor.predictions(runs, given):
      for name, logits in zip('ab', prediction.logits, strict=True):
        arrays[f'{name} {number} {batch_size}'] = logits
      arrays[f'levels {number} {batch_size}'] = prediction.levels()
  np.savez(path, **arrays)


if __name__ == '__main__':
  main(int(sys.argv[1]), sys.argv[2])
