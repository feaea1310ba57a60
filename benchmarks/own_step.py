"""Training steps and predictions of this project, asked for by `serving`.

python -m benchmarks.own_step NAME HEIGHT WIDTH BATCH
"""

import importlib
import sys

import jax
import numpy as np

from benchmarks.frameworks import serving
from carvana_jax import models
from carvana_jax.inference import predictor
from carvana_jax.parallel import devices
from carvana_jax.system import malloc
from carvana_jax.training import steps, train_state
from carvana_jax.training.optimizer import make_optimizer


def main(name, height, width, batch):
  malloc.keep_freed()
  devices.use_all_cores()
  shape = (int(height), int(width), 3)
  model, state, train_step = training(name, shape)
  logit_step = devices.eval_step(predictor.make_logit_step([model], [False], 1))
  batch = example(shape, int(batch))

  def train(count):
    nonlocal state
    for _ in range(count):
      state, measured = train_step(state, batch)
    jax.block_until_ready((state, measured))

  def infer(count):
    variables = state.eval_variables
    for _ in range(count):
      logits = logit_step((variables,), (batch['image'],))
    jax.block_until_ready(logits)

  leaves = jax.tree.leaves(state.variables)
  parameters = sum(x.size for x in leaves)
  serving.serve(parameters, {'train': train, 'infer': infer})


def training(name, shape):
  """Returns the named network, its state and its training step."""
  config = compared_config(name)
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 1)
  state = devices.create(
    lambda: train_state.create(model, optimizer, shape, 0, averaged=False)
  )
  step = steps.make_train_step(model, optimizer, config)
  return model, state, devices.train_step(step)


def example(shape, count):
  """Returns a batch of so many random images [H, W, C] on the devices."""
  rng = np.random.default_rng(0)
  batch = {
    'image': rng.integers(256, size=(count, *shape), dtype=np.uint8),
    'mask': rng.integers(256, size=(count, *shape[:2]), dtype=np.uint8),
    'weight': np.ones(count, np.float32),
  }
  (placed,) = devices.to_devices([batch])
  return placed


def compared_config(name):
  """Returns the named config without what the peers' steps lack."""
  module = importlib.import_module(f'carvana_jax.configs.{name}')
  return plain(module.get_config(), 'adam')


def plain(config, optimizer):
  """Returns a config without what the peers' steps lack, by that optimizer."""
  for field, value in config.augment.items():
    config.augment[field] = type(value)(0)
  config.model.dropout = 0.0
  config.optimizer.name = optimizer
  config.optimizer.schedule = 'constant'
  config.optimizer.clip_norm = 0.0
  config.train.loss = 'bce'
  config.train.average_decay = 0.0
  return config


if __name__ == '__main__':
  main(*sys.argv[1:])
