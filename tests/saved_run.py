"""A run's folder with a small network that was never trained."""

import pathlib

from carvana_jax import checkpoint, models, parallel, train_state
from configs import debug


def save(workdir: pathlib.Path) -> None:
  """Saves a checkpoint of configs/debug.py's network."""
  config = debug.get_config()
  optimizer = train_state.make_optimizer(config.optimizer, 1)
  model = models.build(config.model)
  create = checkpoint.state_creator(config, model, optimizer)
  with checkpoint.Checkpoints(workdir) as checkpoints:
    state = parallel.create(create)
    checkpoints.save(state, {'config': config.to_dict()}, 0.5)
