"""The batches of a run, from its config and its prepared data set."""

from collections.abc import Iterator

import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import folds, input_pipeline, prepare, pseudo_labels


class RunData:
  """What a run reads; batches are those of `input_pipeline.batches`.

  Of several processes each gets its part of every batch, unless said otherwise.
  """

  def __init__(self, builder: tfds.core.DatasetBuilder, config: ConfigDict):
    """Finds the pseudo labels, if any, and prints how many there are.

    Raises:
      UserError: a split is empty, or pseudo labels are missing or damaged.
    """
    self._builder = builder
    self._config = config
    self._labels = {}  # of the examples that a split has in addition
    self.identity = prepare.identity(config.data, builder)
    if config.data.pseudo_labels:
      self._add_pseudo_labels()
    # Better now than after the first epoch, or the last.
    for split in ('train', 'validation', 'test'):
      self._steps(split)
    self.steps_per_epoch = self._steps('train')
    self.total_steps = self.steps_per_epoch * config.train.epochs

  def training(self, first_step: int) -> Iterator[dict[str, np.ndarray]]:
    """Shuffled batches from a step to the end of the run."""
    steps_left = range(first_step, self.total_steps)
    return self._batches('train', steps_left, self._config.seed, _own())

  def training_files(self, step: int) -> list[str]:
    """The photos of the batch of a step, counted from 0 over all epochs."""
    return input_pipeline.files(
      self._builder,
      'train',
      batch_size=self._config.train.batch_size,
      step=step,
      seed=self._config.seed,
      labels=self._labels.get('train'),
      validation_folds=self._config.data.validation_folds,
    )

  def once(self, split: str) -> Iterator[dict[str, np.ndarray]]:
    """All examples of a split once, in their order."""
    return self._batches(split, range(self._steps(split)), None, _own())

  def whole(self, split: str) -> Iterator[dict[str, np.ndarray]]:
    """As `once`, but every process gets all examples."""
    return self._batches(split, range(self._steps(split)), None, (0, 1))

  def _add_pseudo_labels(self):
    labels = pseudo_labels.find(self._config.data.pseudo_labels, self._builder)
    unlabeled = self._builder.info.splits[pseudo_labels.SPLIT].num_examples
    print(
      f'{len(labels)} of {unlabeled} unlabeled photos have pseudo labels',
      flush=True,
    )
    self._labels['train'] = labels
    self.identity += f' with pseudo labels {labels.fingerprint}'

  def _steps(self, split):
    own = folds.part(
      self._builder, split, self._config.data.validation_folds
    ).positions
    examples = len(own) + len(self._labels.get(split, ()))
    return input_pipeline.steps_per_epoch(
      examples, self._config.train.batch_size
    )

  def _batches(self, split, which, seed, process):
    return input_pipeline.batches(
      self._builder,
      split,
      batch_size=self._config.train.batch_size,
      steps=which,
      seed=seed,
      process=process,
      labels=self._labels.get(split),
      validation_folds=self._config.data.validation_folds,
    )


def _own():
  return jax.process_index(), jax.process_count()
