"""A run's folder with a small network that was never trained."""

import pathlib

import jax
import numpy as np
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.configs import debug
from carvana_jax.parallel import devices
from carvana_jax.training import checkpoint, train_state
from carvana_jax.training.optimizer import make_optimizer


def save(
  workdir: pathlib.Path, seed: int = 0, config: ConfigDict | None = None
) -> None:
  """Saves a checkpoint at step 0, of configs/debug.py or another config."""
  config = config or debug.get_config()
  optimizer = make_optimizer(config.optimizer, 1)
  model = models.build(config.model)
  create = train_state.creator(config, model, optimizer)
  rng = np.random.default_rng(seed)

  def value(path, leaf):
    """Random numbers, as compiling JAX's own takes half a minute."""
    if leaf.dtype != np.float32:
      return np.zeros(leaf.shape, leaf.dtype)
    numbers = rng.normal(0, 0.3, leaf.shape).astype(np.float32)
    # Variances are positive.
    return np.abs(numbers) if 'var' in jax.tree_util.keystr(path) else numbers

  state = jax.tree_util.tree_map_with_path(value, jax.eval_shape(create))
  with checkpoint.Checkpoints(workdir) as checkpoints:
    notes = {'config': config.to_dict(), 'data': 'studio/64x96/1.0.0'}
    checkpoints.save(devices.replicate(state), notes, 0.5)
