"""The batches of a run, from its config and its prepared data set."""

from collections.abc import Iterator

import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax import input_pipeline, prepare
from carvana_jax.errors import UserError


class RunData:
  """What a run reads; batches are those of `input_pipeline.batches`."""

  def __init__(self, builder: tfds.core.DatasetBuilder, config: ConfigDict):
    """Raises a `UserError` where one of the splits is empty."""
    self._builder = builder
    self._config = config
    # Better now than after the first epoch, or the last.
    for split in ('train', 'validation', 'test'):
      self._steps(split)
    self.identity = prepare.identity(config.data, builder)
    self.steps_per_epoch = self._steps('train')
    self.total_steps = self.steps_per_epoch * config.train.epochs

  def training(self, first_step: int) -> Iterator[dict[str, np.ndarray]]:
    """Shuffled batches from a step to the end of the run."""
    steps_left = range(first_step, self.total_steps)
    return self._batches('train', steps_left, self._config.seed)

  def once(self, split: str) -> Iterator[dict[str, np.ndarray]]:
    """All examples of a split once, in their order."""
    return self._batches(split, range(self._steps(split)), None)

  def _steps(self, split):
    info = self._builder.info
    if split not in info.splits:
      raise UserError(
        f'{info.full_name} has no car in its {split} split, which follows '
        "from the cars' ids; add cars to the folder."
      )
    return input_pipeline.steps_per_epoch(
      info.splits[split].num_examples, self._config.train.batch_size
    )

  def _batches(self, split, which, seed):
    return input_pipeline.batches(
      self._builder,
      split,
      batch_size=self._config.train.batch_size,
      steps=which,
      seed=seed,
      process=(jax.process_index(), jax.process_count()),
    )
