"""Compiles a run's training step while its photos are being prepared.

To compile it keeps one core busy for as long as all cores take to package some
hundreds of photos. How many there will be to train on is known before; should
it turn out otherwise, the step is compiled once more.
"""

import threading

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import input_pipeline, prepare
from carvana_jax.parallel import devices, processes
from carvana_jax.training import steps, train_state
from carvana_jax.training.optimizer import make_optimizer


class Programs:
  """What a run computes with, compiled when it is first called.

  Attributes:
    total_steps: of the run.
    model: the network.
    optimizer: that of `config.optimizer`.
    create: makes the run's first state, see `train_state.creator`.
    train_step: as returned by `devices.train_step`.
  """

  def __init__(self, config: ConfigDict, total_steps: int):
    """Makes the programs.

    Args:
      config: as in configs/default.py.
      total_steps: of the run.
    """
    self.total_steps = total_steps
    self.model = models.build(config.model)
    self.optimizer = make_optimizer(config.optimizer, total_steps)
    self.create = train_state.creator(config, self.model, self.optimizer)
    self.train_step = devices.train_step(
      steps.make_train_step(self.model, self.optimizer, config)
    )


class EarlyStart:
  """Programs of which a thread takes care meanwhile."""

  def __init__(self, config: ConfigDict):
    """Begins nothing yet.

    Args:
      config: as in configs/default.py.
    """
    self._config = config
    self._programs = None
    self._thread = None

  def begin(self, photos: int) -> None:
    """Begins to compile, where that is done once for all.

    Args:
      photos: how many the run will probably train on.
    """
    train = self._config.train
    # Each of several processes would have to wait for the others' steps, and
    # where a network is given, the optimizer follows from it.
    if not processes.is_only() or train.init_from:
      return
    count = input_pipeline.steps_per_epoch(photos, train.batch_size)
    self._programs = Programs(self._config, count * train.epochs)
    # Not a daemon: Python would end while XLA is at work.
    self._thread = threading.Thread(target=self._compile)
    self._thread.start()

  def programs(self, total_steps: int) -> Programs:
    """Returns the run's programs, compiled if they were begun.

    Args:
      total_steps: of the run.
    """
    made = self._programs
    if made is None or made.total_steps != total_steps:
      return Programs(self._config, total_steps)
    self._thread.join()
    return made

  def _compile(self):
    """Makes a step, from a first state, with photos that are all black."""
    size = self._config.train.batch_size
    height, width, channels = prepare.input_shape(self._config.data)
    batch = {
      'image': np.zeros((size, height, width, channels), np.uint8),
      'mask': np.zeros((size, height, width), np.uint8),
      'weight': np.ones(size, np.float32),
    }
    try:
      state = devices.create(self._programs.create)
      (batch,) = devices.to_devices([batch])
      jax.block_until_ready(self._programs.train_step(state, batch))
    except Exception as error:  # the run will come to it, and say so
      logging.info('the training step was not compiled early: %s', error)
