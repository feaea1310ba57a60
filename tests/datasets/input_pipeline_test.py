"""Batches: every example once an epoch, in an order that any step knows."""

import pathlib
import tempfile
import time
from unittest import mock

import chex
import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import images, input_pipeline, pseudo_labels
from tests.helpers import numbered

EXAMPLES, BATCH = numbered.SPLITS['train'], 4


def plan(step, seed=0):
  return input_pipeline.plan(
    step, examples=EXAMPLES, batch_size=BATCH, seed=seed
  )


def joined(batches):
  """One batch of all examples."""
  return {
    name: np.concatenate([batch[name] for batch in batches])
    for name in batches[0]
  }


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
    original = source_class.__getitem__

    def read(source, key):
      opened.append(key)
      return original(source, key)

    with mock.patch.object(source_class, '__getitem__', read):
      self.batches(range(5, 6))
    self.assertCountEqual(opened, plan(5)[0].tolist())

  def test_no_more_than_two_batches_are_read_ahead(self):
    """So memory doesn't grow with the data set."""
    decoded = []
    original = images.decode_mask

    def decode(data):
      decoded.append(data)
      return original(data)

    with mock.patch.object(images, 'decode_mask', decode):
      batches = input_pipeline.batches(
        self.builder, 'train', batch_size=BATCH, steps=range(30)
      )
      next(batches)
      end = time.monotonic() + 30
      while len(decoded) < 3 * BATCH and time.monotonic() < end:
        time.sleep(0.01)
      time.sleep(0.1)  # for more, which must not come
      batches.close()
    self.assertLen(decoded, 3 * BATCH)

  def test_a_damaged_image_is_an_error(self):
    with (
      mock.patch.object(images, 'decode_mask', side_effect=ValueError('bad')),
      self.assertRaisesRegex(ValueError, 'bad'),
    ):
      self.batches(range(1))

  def test_processes_share_a_batch(self):
    whole = self.batches(range(4))
    parts = [self.batches(range(4), process=(i, 2)) for i in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
      chex.assert_trees_all_equal(joined(halves), batch)


class FilesTest(chex.TestCase):
  def test_are_those_of_the_batch(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    builder = numbered.prepare(folder)
    given = {'batch_size': BATCH, 'seed': 0}
    batches = input_pipeline.batches(builder, 'train', steps=range(6), **given)
    for step, batch in enumerate(batches):
      numbers = batch['image'][batch['weight'] > 0, 0, 0, 0]
      self.assertEqual(
        input_pipeline.batch_files(builder, 'train', step=step, **given),
        [f'{number}.jpg' for number in numbers],
      )


class WithUnlabeled(numbered.Numbered):
  """Seven more pictures, which hold 50 and more, with black masks."""

  VERSION = numbered.Numbered.VERSION

  def _split_generators(self, dl_manager):
    splits = super()._split_generators(dl_manager)
    return splits | {'unlabeled': self._unlabeled()}

  def _unlabeled(self):
    black = np.zeros((64, 96), np.uint8)
    for number, example in self._generate_examples(7):
      picture = np.full((64, 96, 3), 50 + number, np.uint8)
      yield number, example | {'image': picture, 'mask': black[..., None]}


class LabelledBatchesTest(chex.TestCase):
  """Five of the unlabeled pictures have masks, which hold 100 more."""

  STEPS = 4  # an epoch of 10 + 5 examples

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = pathlib.Path(cls.enterClassContext(tfds.testing.tmp_dir()))
    cls.builder = WithUnlabeled(data_dir=folder, file_format='array_record')
    cls.builder.download_and_prepare()
    source = cls.builder.as_data_source('unlabeled')
    stored = [int(example['image'][0, 0, 0]) for example in source]
    positions = [0, 2, 3, 5, 6]
    cls.numbers = [stored[position] for position in positions]
    files = [folder / f'{number}.png' for number in cls.numbers]
    for file, number in zip(files, cls.numbers, strict=True):
      full = np.full((128, 192), 100 + number, np.uint8)
      file.write_bytes(images.encode_png(full))
    cls.labels = pseudo_labels.PseudoLabels(
      np.array(positions),
      files,
      size=(64, 96),
      fit='stretch',
      fingerprint='',
    )

  def batches(self, steps, **options):
    return list(
      input_pipeline.batches(
        self.builder, 'train', batch_size=BATCH, steps=steps, seed=0, **options
      )
    )

  def test_every_example_once_an_epoch_with_its_own_mask(self):
    batches = self.batches(range(2 * self.STEPS), labels=self.labels)
    orders = []
    for epoch in (batches[: self.STEPS], batches[self.STEPS :]):
      examples = joined(epoch)
      real = examples['weight'] > 0
      shown = examples['image'][real, 7, 8, 0].astype(int)
      self.assertEqual(sorted(shown), [*range(EXAMPLES), *sorted(self.numbers)])
      expected = np.where(shown < 50, shown, shown + 100)
      masks = examples['mask'][real]
      chex.assert_shape(masks, (15, 64, 96))
      np.testing.assert_array_equal(
        masks, np.broadcast_to(expected[:, None, None], masks.shape)
      )
      orders.append(shown.tolist())
    self.assertNotEqual(*orders)

  def test_starts_anywhere(self):
    whole = self.batches(range(6), labels=self.labels)
    for start in (1, 5):
      later = self.batches(range(start, 6), labels=self.labels)
      chex.assert_trees_all_equal(later, whole[start:])

  def test_processes_share_a_batch(self):
    whole = self.batches(range(self.STEPS), labels=self.labels)
    parts = [
      self.batches(range(self.STEPS), labels=self.labels, process=(i, 2))
      for i in range(2)
    ]
    for batch, *halves in zip(whole, *parts, strict=True):
      chex.assert_trees_all_equal(joined(halves), batch)

  def test_without_labels_nothing_unlabeled(self):
    for step, batch in enumerate(self.batches(range(3))):
      weights = plan(step)[1]
      chex.assert_trees_all_equal(batch['weight'], weights)
      self.assertLess(batch['image'].max(), 50)
