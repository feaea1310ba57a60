"""Prepared data set -> batches, in an order that any step can compute.

Which examples make up the batch of a step follows from (seed, step) alone.
So a run that starts at step 1000 reads nothing of the steps before, and
several processes read disjoint parts of the same global batch.
"""

import functools
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax import pseudo_labels
from carvana_jax.host_tensorflow import tf


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

  Yields:
    image uint8 [b, h, w, C], mask uint8 [b, h, w] and weight float32 [b]
    (0 for padding), with b = batch_size / processes. C is 3, or 6 where the
    examples have a `difference` to their car's other views.
  """
  own = builder.info.splits[split].num_examples
  split, chosen = _examples(builder, split, labels)
  source = builder.as_data_source(
    split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
  )
  index, count = process
  part = slice(index * batch_size // count, (index + 1) * batch_size // count)

  def read(step):
    indices, weights = plan(
      int(step), examples=len(chosen), batch_size=batch_size, seed=seed
    )
    indices = indices[part]
    records = source.__getitems__(chosen[indices].tolist())
    return records, indices - own, weights[part]

  def read_step(step):
    columns = tf.numpy_function(
      read, [step], (tf.string, tf.int64, tf.float32), stateful=False
    )
    shape = [part.stop - part.start]
    return tuple(tf.ensure_shape(column, shape) for column in columns)

  def decode(record, label, weight):
    example = builder.info.features.deserialize_example(record)
    layers = [
      example[name] for name in ('image', 'difference') if name in example
    ]
    mask = example['mask'][..., 0]
    if labels is not None:
      mask = _labelled(mask, label, labels)
    return {
      'image': tf.concat(layers, axis=-1),
      'mask': mask,
      'weight': weight,
    }

  dataset = tf.data.Dataset.range(steps.start, steps.stop)
  dataset = dataset.map(read_step, num_parallel_calls=2).unbatch()
  dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
  dataset = dataset.batch(part.stop - part.start, drop_remainder=True)
  return dataset.prefetch(2).as_numpy_iterator()


def files(
  builder: tfds.core.DatasetBuilder,
  split: str,
  *,
  batch_size: int,
  step: int,
  seed: int | None = None,
  labels: pseudo_labels.PseudoLabels | None = None,
) -> list[str]:
  """The names of the photos in the batch of a step, without padding.

  Args:
    builder: a prepared data set in random-access files.
    split: of it.
    batch_size: of all processes together.
    step: counted from 0 over all epochs.
    seed: of the order; None: as stored.
    labels: of unlabeled examples.
  """
  split, chosen = _examples(builder, split, labels)
  indices, weights = plan(
    step, examples=len(chosen), batch_size=batch_size, seed=seed
  )
  skip = tfds.decode.SkipDecoding()
  source = builder.as_data_source(
    split,
    decoders={
      name: skip
      for name in ('image', 'difference', 'mask')
      if name in builder.info.features
    },
  )
  rows = source.__getitems__(chosen[indices[weights > 0]].tolist())
  return [row['filename'].decode() for row in rows]


def _examples(builder, split, labels):
  """The split to read, and the positions in it of the examples to use."""
  own = builder.info.splits[split].num_examples
  chosen = np.arange(own)
  if labels is not None:
    split = f'{split}+{pseudo_labels.SPLIT}'
    chosen = np.append(chosen, own + labels.positions)
  return split, chosen


def _labelled(mask, label, labels):
  """The mask of this number among the labels; below 0, the mask given."""

  def read():
    found = tf.numpy_function(labels.mask, [label], tf.uint8, stateful=False)
    return tf.ensure_shape(found, mask.shape)

  return tf.cond(label < 0, lambda: mask, read)
