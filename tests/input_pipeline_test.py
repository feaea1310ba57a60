"""Batches: every example once an epoch, in an order that any step knows."""

import chex
import numpy as np
import tensorflow_datasets as tfds

from carvana_jax import input_pipeline
from tests import numbered

EXAMPLES, BATCH = numbered.SPLITS['train'], 4


def plan(step, seed=0):
  return input_pipeline.plan(
    step, examples=EXAMPLES, batch_size=BATCH, seed=seed
  )


class PlanTest(chex.TestCase):
  def test_steps_per_epoch(self):
    counts = [input_pipeline.steps_per_epoch(n, 4) for n in (1, 4, 5, 8)]
    self.assertEqual(counts, [1, 1, 2, 2])

  def test_every_example_once_an_epoch(self):
    for epoch in range(3):
      indices, weights = zip(
        *(plan(step) for step in range(epoch * 3, epoch * 3 + 3)), strict=True
      )
      real = np.concatenate(indices)[np.concatenate(weights) > 0]
      self.assertEqual(sorted(real), list(range(EXAMPLES)))

  def test_last_batch_is_padded(self):
    indices, weights = plan(2)
    self.assertEqual(weights.tolist(), [1, 1, 0, 0])
    chex.assert_shape(indices, (BATCH,))

  def test_order_differs_by_epoch_and_by_seed_only(self):
    first = plan(0)[0].tolist()
    self.assertEqual(plan(0)[0].tolist(), first)
    self.assertNotEqual(plan(3)[0].tolist(), first)
    self.assertNotEqual(plan(0, seed=1)[0].tolist(), first)

  def test_without_seed_as_stored(self):
    self.assertEqual(plan(4, seed=None)[0].tolist(), [4, 5, 6, 7])


class BatchesTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tfds.testing.tmp_dir())
    cls.builder = numbered.prepare(folder)
    source = cls.builder.as_data_source('train')
    # TFDS shuffles once while it writes.
    cls.stored = [int(example['image'][0, 0, 0]) for example in source]

  def batches(self, steps, seed=0, **options):
    return list(
      input_pipeline.batches(
        self.builder, 'train', batch_size=BATCH, steps=steps, seed=seed,
        **options,
      )
    )  # fmt: skip

  def test_holds_the_planned_examples(self):
    for step, batch in zip(range(7), self.batches(range(7)), strict=True):
      indices, weights = plan(step)
      numbers = [self.stored[index] for index in indices]
      chex.assert_shape(batch['image'], (BATCH, 64, 96, 3))
      chex.assert_shape(batch['mask'], (BATCH, 64, 96))
      self.assertEqual(batch['image'].dtype, np.uint8)
      self.assertEqual(batch['image'][:, 1, 2, 0].tolist(), numbers)
      self.assertEqual(batch['mask'][:, 3, 5].tolist(), numbers)
      chex.assert_trees_all_equal(batch['weight'], weights)

  def test_starts_anywhere(self):
    whole = self.batches(range(8))
    for start in (1, 3, 5):
      chex.assert_trees_all_equal(self.batches(range(start, 8)), whole[start:])

  def test_start_reads_nothing_of_what_came_before(self):
    opened = []
    source_class = type(self.builder.as_data_source('train').data_source)
    original = source_class.__getitems__
    source_class.__getitems__ = lambda self, keys: (
      opened.extend(keys) or original(self, keys)
    )
    try:
      self.batches(range(5, 6))
    finally:
      source_class.__getitems__ = original
    self.assertEqual(opened, plan(5)[0].tolist())

  def test_processes_share_a_batch(self):
    whole = self.batches(range(4))
    parts = [self.batches(range(4), process=(i, 2)) for i in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
      joined = {
        name: np.concatenate([half[name] for half in halves]) for name in batch
      }
      chex.assert_trees_all_equal(joined, batch)
