"""Prepared data set -> batches, in an order that any step can compute.

Which examples make up the batch of a step follows from (seed, step) alone.
So a run that starts at step 1000 reads nothing of the steps before, and
several processes read disjoint parts of the same global batch.
"""

import collections
import functools
from collections.abc import Iterator, Sequence
from concurrent import futures

import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import folds, images, prepare, pseudo_labels, reading
from carvana_jax.system import threads

_AHEAD = 2  # batches being decoded while one is used
_LAYERS = ('image', 'difference', 'coarse')  # of the network's input


def steps_per_epoch(examples: int, batch_size: int) -> int:
  """Batches in which every example is seen once."""
  return -(-examples // batch_size)


@functools.lru_cache(maxsize=2)
def _order(seed: int | None, epoch: int, examples: int) -> np.ndarray:
  if seed is None:
    return np.arange(examples)
  return np.random.default_rng([seed, epoch]).permutation(examples)


def plan(
  step: int, *, examples: int, batch_size: int, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
  """Which examples make up the batch of a step.

  Args:
    step: counted from 0 over all epochs.
    examples: how many there are.
    batch_size: of all processes together.
    seed: of the order, which differs from epoch to epoch; None: as stored.

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


def batches(
  builder: tfds.core.DatasetBuilder,
  split: str,
  *,
  batch_size: int,
  steps: range,
  seed: int | None = None,
  process: tuple[int, int] = (0, 1),
  labels: pseudo_labels.PseudoLabels | None = None,
  validation_folds: Sequence[int] = folds.DEFAULT,
) -> Iterator[dict[str, np.ndarray]]:
  """The batches of the given steps.

  Args:
    builder: a prepared data set in random-access files.
    split: of it.
    batch_size: of all processes together.
    steps: which ones, counted from 0 over all epochs.
    seed: of the order; None: as stored.
    process: (index, count); this process gets its part of every batch.
    labels: of unlabeled examples, which come in addition to the split's own.
    validation_folds: which make up the split validation, see `folds.select`.

  Yields:
    image uint8 [b, h, w, C], mask uint8 [b, h, w] and weight float32 [b]
    (0 for padding), with b = batch_size / processes. C is 3, or 6 where the
    examples have a `difference` to their car's other views, or 4 where they
    have a `coarse` probability.
  """
  own, chosen = _examples(builder, split, labels, validation_folds)
  source = reading.undecoded_examples(builder, chosen.split)
  layers = [name for name in _LAYERS if name in builder.info.features]
  channels = [builder.info.features[name].shape[-1] for name in layers]
  height, width = builder.info.features['mask'].shape[:2]
  index, count = process
  part = slice(index * batch_size // count, (index + 1) * batch_size // count)

  def fill(image, mask, index):
    """Decodes an example into its place in a batch."""
    example = source[int(chosen.positions[index])]
    first = 0
    for name, count in zip(layers, channels, strict=True):
      decode = images.decode_mask if count == 1 else images.decode_photo
      pixels = decode(example[name])
      image[..., first : first + count] = pixels.reshape(height, width, count)
      first += count
    if index < own:
      mask[:] = images.decode_mask(example['mask'])
    else:
      mask[:] = labels.mask(index - own)

  def begin(step):
    """The arrays of a batch, and the work that fills them."""
    indices, weights = plan(
      step,
      examples=len(chosen.positions),
      batch_size=batch_size,
      seed=seed,
    )
    indices = indices[part]
    shape = (len(indices), height, width)
    batch = {
      'image': np.empty((*shape, sum(channels)), np.uint8),
      'mask': np.empty(shape, np.uint8),
      'weight': weights[part],
    }
    places = zip(batch['image'], batch['mask'], indices, strict=True)
    return batch, [pool.submit(fill, *place) for place in places]

  with futures.ThreadPoolExecutor(threads.core_count()) as pool:
    waiting = collections.deque()
    for step in steps:
      waiting.append(begin(step))
      if len(waiting) > _AHEAD:
        yield _filled(*waiting.popleft())
    while waiting:
      yield _filled(*waiting.popleft())


def _filled(batch, work):
  for example in work:
    example.result()  # raises what its thread did
  return batch


def files(
  builder: tfds.core.DatasetBuilder,
  split: str,
  *,
  batch_size: int,
  step: int,
  seed: int | None = None,
  labels: pseudo_labels.PseudoLabels | None = None,
  validation_folds: Sequence[int] = folds.DEFAULT,
) -> list[str]:
  """The names of the photos in the batch of a step, without padding.

  Args:
    builder: a prepared data set in random-access files.
    split: of it.
    batch_size: of all processes together.
    step: counted from 0 over all epochs.
    seed: of the order; None: as stored.
    labels: of unlabeled examples.
    validation_folds: which make up the split validation, see `folds.select`.
  """
  _, chosen = _examples(builder, split, labels, validation_folds)
  positions = chosen.positions
  indices, weights = plan(
    step, examples=len(positions), batch_size=batch_size, seed=seed
  )
  source = reading.undecoded_examples(builder, chosen.split)
  rows = source.__getitems__(positions[indices[weights > 0]].tolist())
  return [row['filename'].decode() for row in rows]


def _examples(builder, split, labels, validation_folds):
  """How many labelled examples there are, and these, then the unlabeled."""
  part = folds.select(builder, split, validation_folds)
  own = len(part.positions)
  if labels is None:
    return own, part
  before = sum(
    builder.info.splits[name].num_examples for name in part.split.split('+')
  )
  positions = np.append(part.positions, before + labels.positions)
  return own, folds.Selection(f'{part.split}+{pseudo_labels.SPLIT}', positions)


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
    return files(
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
    own = folds.select(
      self._builder, split, self._config.data.validation_folds
    ).positions
    examples = len(own) + len(self._labels.get(split, ()))
    return steps_per_epoch(examples, self._config.train.batch_size)

  def _batches(self, split, which, seed, process):
    return batches(
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
