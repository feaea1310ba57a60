"""Batches of a prepared data set, in an order that any step can compute.

Which examples make up the batch of a step follows from (seed, step) alone.
So a run that starts at step 1000 reads nothing of the steps before, and
several processes read disjoint parts of the same global batch.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import (
  chosen_splits,
  decoded,
  folds,
  images,
  prepare,
  pseudo_labels,
  reading,
)
from carvana_jax.datasets.chosen_splits import STORED, Splits
from carvana_jax.system import threads

_AHEAD = 2  # batches being decoded while one is used
# Of the network's input.
_CHANNEL_GROUPS = 'image', 'difference', 'coarse', 'studio', 'studio_views'


@dataclasses.dataclass(frozen=True)
class RunData:
  """What a run reads; batches are those of `input_pipeline.batches`.

  Of several processes each gets its part of every batch, unless said otherwise.

  Attributes:
    builder: the prepared data set that the network is trained on.
    config: of the run.
    identity: what tells these data from others.
    steps: in how many batches each split is seen once.
    splits: how the run splits its photos.
    labels: the masks of the unlabeled examples that the split train has in
      addition; None where there are none.
    kept: memory for the decoded examples of splits, see `keep_decoded`.
  """

  builder: tfds.core.DatasetBuilder
  config: ConfigDict
  identity: str
  steps: Mapping[str, int]
  splits: Splits = STORED
  labels: pseudo_labels.PseudoLabels | None = None
  kept: Mapping[str, decoded.Decoded] = dataclasses.field(default_factory=dict)

  @classmethod
  def open(
    cls, builder: tfds.core.DatasetBuilder, config: ConfigDict
  ) -> 'RunData':
    """Finds the data of a run; prints how many photos are in each split.

    Args:
      builder: the prepared data set that the network is trained on.
      config: of the run.

    Returns:
      The data, none of which is read yet but for the labels.

    Raises:
      UserError: a split is empty, or pseudo labels are missing or damaged.
    """
    identity = prepare.identity(config.data, builder)
    splits = chosen_splits.of(config.data)
    labels = None
    if config.data.pseudo_labels:
      labels = pseudo_labels.find(
        config.data.pseudo_labels, builder, config.data.fit
      )
      unlabeled = builder.info.splits[pseudo_labels.SPLIT].num_examples
      count = f'{len(labels)} of {unlabeled}'
      print(f'{count} unlabeled photos have pseudo labels', flush=True)
      identity += f' with pseudo labels {labels.fingerprint}'
    steps = {}
    # Better now than after the first epoch, or the last.
    for split in ('train', 'validation', 'test'):
      part = folds.select(builder, split, splits)
      count = len(part.positions)
      if labels and split == 'train':
        count += len(labels)
      steps[split] = steps_per_epoch(count, config.train.batch_size)
    print(folds.describe(builder, splits), flush=True)
    return cls(builder, config, identity, steps, splits, labels)

  def keep_decoded(self) -> 'RunData':
    """Returns data whose photos are decoded once, and prints which are.

    They are kept in memory where they fit, see `decoded.keep`, for what epochs
    read of them. All processes of the run must call this together.
    """
    if self.config.train.epochs == 1:
      print('photos are decoded when needed: there is one epoch', flush=True)
      return self
    shapes = {}
    for split in ('train', 'validation'):
      reader = _Reader(
        self.builder,
        split,
        self.labels if split == 'train' else None,
        self.splits,
      )
      shapes[split] = decoded.Shape(reader.count, reader.image_shape)
    return dataclasses.replace(self, kept=decoded.keep(shapes))

  @property
  def steps_per_epoch(self) -> int:
    """In how many steps every example of the split train is seen once."""
    return self.steps['train']

  @property
  def total_steps(self) -> int:
    """The steps of the whole run."""
    return self.steps_per_epoch * self.config.train.epochs

  def training(self, first_step: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields shuffled batches from a step to the end of the run."""
    steps_left = range(first_step, self.total_steps)
    return self._batches('train', steps_left, self.config.seed, _own_part())

  def training_files(self, step: int) -> list[str]:
    """Returns the names of the photos in the batch of a training step.

    Args:
      step: counted from 0 over all epochs.
    """
    return batch_files(
      self.builder,
      'train',
      batch_size=self.config.train.batch_size,
      step=step,
      seed=self.config.seed,
      labels=self.labels,
      splits=self.splits,
    )

  def first_files(self, split: str) -> list[str]:
    """Returns the names of the photos in the first batch of `whole`."""
    return batch_files(
      self.builder,
      split,
      batch_size=self.config.train.batch_size,
      step=0,
      splits=self.splits,
    )

  def once(self, split: str) -> Iterator[dict[str, np.ndarray]]:
    """Yields all examples of a split once, in their order."""
    return self._batches(split, range(self.steps[split]), None, _own_part())

  def whole(self, split: str) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches of `once`, but whole ones in every process."""
    return self._batches(split, range(self.steps[split]), None, (0, 1))

  def _batches(self, split, steps, seed, process):
    return batches(
      self.builder,
      split,
      batch_size=self.config.train.batch_size,
      steps=steps,
      seed=seed,
      process=process,
      labels=self.labels if split == 'train' else None,
      splits=self.splits,
      kept=self.kept.get(split),
    )


def batches(
  builder: tfds.core.DatasetBuilder,
  split: str,
  *,
  batch_size: int,
  steps: range,
  seed: int | None = None,
  process: tuple[int, int] = (0, 1),
  labels: pseudo_labels.PseudoLabels | None = None,
  splits: Splits = STORED,
  kept: decoded.Decoded | None = None,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the batches of the given steps, which threads decode ahead.

  Args:
    builder: a prepared data set in random-access files.
    split: the split of it.
    batch_size: the examples in a batch of all processes together.
    steps: which batches, counted from 0 over all epochs.
    seed: the seed of the order; None: as stored.
    process: (index, count); this process gets its part of every batch.
    labels: the masks of unlabeled examples, which come in addition to the
      split's own.
    splits: how the examples are split, see `folds.select`.
    kept: memory for these examples: what it has is not decoded again.

  Yields:
    image uint8 [b, h, w, C], mask uint8 [b, h, w] and weight float32 [b]
    (0 for padding), with b = batch_size / processes. C is 3, or 6 where the
    examples have a `difference` to their car's other views, or 4 where they
    have a `coarse` probability, 8 with the empty `studio`.
  """
  reader = _Reader(builder, split, labels, splits)
  index, count = process
  part = slice(index * batch_size // count, (index + 1) * batch_size // count)

  def begin(step):
    """Returns the arrays of a batch, and the work that fills them."""
    indices, weights = plan(
      step, examples=reader.count, batch_size=batch_size, seed=seed
    )
    indices = indices[part]
    batch = reader.new_batch(weights[part])
    there = kept.has(indices) if kept else np.zeros(len(indices), bool)
    places = zip(batch['image'], batch['mask'], indices, there, strict=True)
    return batch, indices, [pool.submit(fill, *place) for place in places]

  def fill(image, mask, index, is_there):
    if is_there:
      kept.read(image, mask, index)
      return
    reader.fill(image, mask, index)
    if kept:
      kept.write(image, mask, index)

  with threads.Pool() as pool:
    for batch, indices, work in threads.read_ahead(map(begin, steps), _AHEAD):
      for example in work:
        example.result()  # raises what its thread did
      if kept:
        kept.confirm(indices)
      yield batch


def batch_files(
  builder: tfds.core.DatasetBuilder,
  split: str,
  *,
  batch_size: int,
  step: int,
  seed: int | None = None,
  labels: pseudo_labels.PseudoLabels | None = None,
  splits: Splits = STORED,
) -> list[str]:
  """Returns the names of the photos in the batch of a step, without padding.

  Args:
    builder: a prepared data set in random-access files.
    split: the split of it.
    batch_size: the examples in a batch of all processes together.
    step: which batch, counted from 0 over all epochs.
    seed: the seed of the order; None: as stored.
    labels: the masks of unlabeled examples, as for `batches`.
    splits: how the examples are split, see `folds.select`.
  """
  _, chosen = _examples(builder, split, labels, splits)
  positions = chosen.positions
  indices, weights = plan(
    step, examples=len(positions), batch_size=batch_size, seed=seed
  )
  source = reading.undecoded_examples(builder, chosen.split)
  rows = source.__getitems__(positions[indices[weights > 0]].tolist())
  return [row['filename'].decode() for row in rows]


def plan(
  step: int, *, examples: int, batch_size: int, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
  """Chooses the examples that make up the batch of a step.

  Args:
    step: which batch, counted from 0 over all epochs.
    examples: how many examples there are.
    batch_size: the examples in a batch of all processes together.
    seed: the seed of the order, which differs from epoch to epoch; None: as
      stored.

  Returns:
    Indices int64 [batch_size] and weights float32 [batch_size]. The last
    batch of an epoch is filled up with example 0, of weight 0.
  """
  epoch, position = divmod(step, steps_per_epoch(examples, batch_size))
  start = position * batch_size
  chosen = _order(seed, epoch, examples)[start : start + batch_size]
  missing = batch_size - len(chosen)
  indices = np.pad(chosen, (0, missing)).astype(np.int64)
  weights = np.pad(np.ones(len(chosen), np.float32), (0, missing))
  return indices, weights


def steps_per_epoch(examples: int, batch_size: int) -> int:
  """Returns the number of batches in which every example is seen once."""
  return -(-examples // batch_size)


class _Reader:
  """Decodes the examples of a split into the arrays of batches."""

  def __init__(self, builder, split, labels, splits):
    self._labelled, chosen = _examples(builder, split, labels, splits)
    self._positions = chosen.positions
    self.count = len(chosen.positions)
    self._labels = labels
    self._source = reading.undecoded_examples(builder, chosen.split)
    features = builder.info.features
    # (name, channels) of what the network's input is made of.
    self._groups = [
      (name, features[name].shape[-1])
      for name in _CHANNEL_GROUPS
      if name in features
    ]
    channels = sum(count for _, count in self._groups)
    self.image_shape = (*features['mask'].shape[:2], channels)

  def new_batch(self, weights):
    """Returns a batch of weights [b]; its other arrays are yet to be filled."""
    shape = (len(weights), *self.image_shape)
    return {
      'image': np.empty(shape, np.uint8),
      'mask': np.empty(shape[:-1], np.uint8),
      'weight': weights,
    }

  def fill(self, image, mask, index):
    """Decodes example `index` into its place, [h, w, C] and [h, w]."""
    example = self._source[int(self._positions[index])]
    first = 0
    for name, count in self._groups:
      decode = images.decode_mask if count == 1 else images.decode_photo
      pixels = decode(example[name]).reshape(*mask.shape, count)
      image[..., first : first + count] = pixels
      first += count
    if index < self._labelled:
      mask[:] = images.decode_mask(example['mask'])
    else:
      mask[:] = self._labels.mask(index - self._labelled)


def _examples(builder, split, labels, splits):
  """Returns the count of labelled examples, and these, then the unlabeled."""
  part = folds.select(builder, split, splits)
  own = len(part.positions)
  if labels is None:
    return own, part
  before = sum(
    builder.info.splits[name].num_examples for name in part.split.split('+')
  )
  positions = np.append(part.positions, before + labels.positions)
  return own, folds.Selection(f'{part.split}+{pseudo_labels.SPLIT}', positions)


@functools.lru_cache(maxsize=2)
def _order(seed: int | None, epoch: int, examples: int) -> np.ndarray:
  """Returns the indices of the examples in the order of an epoch."""
  if seed is None:
    return np.arange(examples)
  return np.random.default_rng([seed, epoch]).permutation(examples)


def _own_part():
  """Returns (index, count) of this process among those of the run."""
  return jax.process_index(), jax.process_count()
