"""Which photos a run trains and validates on, read from the files."""

import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import debug
from carvana_jax.datasets import (
  folds,
  images,
  input_pipeline,
  labels,
  pseudo_labels,
  reading,
  spec,
)
from carvana_jax.datasets.chosen_splits import Splits
from carvana_jax.system.errors import UserError
from carvana_jax.workflows import cross_validation
from tests.helpers import folded, numbered


class FoldsTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.root = pathlib.Path(folder)
    cls.builder = folded.prepare(folder)

  def names(self, split, validation_folds, **options):
    """The photos of an epoch, from batches' own bookkeeping."""
    splits = Splits(tuple(validation_folds))
    given = {'batch_size': 4, 'splits': splits} | options
    count = len(folds.select(self.builder, split, splits).positions)
    count += len(options.get('labels', ()))
    steps = input_pipeline.steps_per_epoch(count, 4)
    return [
      name
      for step in range(steps)
      for name in input_pipeline.batch_files(
        self.builder, split, step=step, **given
      )
    ]

  def photos(self, chosen):
    """The photos of the cars of some folds."""
    return [
      f'{spec.photo_name(car, view)}.jpg'
      for car in folded.CARS
      if spec.fold_of(car) in chosen
      for view in range(1, folded.VIEWS + 1)
    ]

  @parameterized.parameters(*range(2, 10))
  def test_runs_share_the_cars_but_those_of_the_test_split(self, count):
    seen = []
    for group in cross_validation.group_folds(count, range(1, 10)):
      validation = self.names('validation', group)
      training = self.names('train', group, seed=3)
      self.assertCountEqual(validation, self.photos(group))
      others = set(range(1, 10)) - set(group)
      self.assertCountEqual(training, self.photos(others))
      seen += validation
    self.assertCountEqual(seen, self.photos(range(1, 10)))

  def test_batches_hold_the_photos_that_are_named(self):
    group = (3, 8)
    counts = {'train': 7 * folded.VIEWS, 'validation': 2 * folded.VIEWS}
    source = {}
    for split in ('train', 'validation'):
      for row in reading.undecoded_examples(self.builder, split):
        source[row['filename'].decode()] = row
    for split in ('train', 'validation'):
      names = iter(self.names(split, group, seed=5))
      batches = input_pipeline.batches(
        self.builder,
        split,
        batch_size=4,
        steps=range(-(-counts[split] // 4)),
        seed=5,
        splits=Splits(group),
      )
      shown = 0
      for batch in batches:
        real = int(batch['weight'].sum())
        for number in range(real):
          row = source[next(names)]
          np.testing.assert_array_equal(
            batch['image'][number], images.decode_photo(row['image'])
          )
          np.testing.assert_array_equal(
            batch['mask'][number], images.decode_mask(row['mask'])
          )
        shown += real
      self.assertEqual(shown, counts[split])

  def test_other_splits_do_not_move(self):
    for group in ((1,), (3, 8)):
      self.assertCountEqual(self.names('test', group), self.photos([0]))
      part = folds.select(self.builder, 'all', Splits(group))
      rows = reading.undecoded_examples(self.builder, part.split)
      names = [rows[int(i)]['filename'].decode() for i in part.positions]
      self.assertCountEqual(names, self.photos(range(10)))

  def test_usual_folds_are_the_stored_splits_and_nothing_is_read(self):
    with mock.patch.object(labels, 'of', side_effect=AssertionError):
      for split in ('train', 'validation', 'test'):
        part = folds.select(self.builder, split, Splits((1,)))
        self.assertEqual(part.split, split)
        rows = reading.undecoded_examples(self.builder, split)
        self.assertEqual(part.positions.tolist(), list(range(len(rows))))
    # What is read of the folds says the same.
    for split, chosen in ('validation', [1]), ('train', range(2, 10)):
      self.assertCountEqual(self.names(split, (1,)), self.photos(chosen))

  def test_photos_with_pseudo_labels_come_in_addition(self):
    rows = reading.undecoded_examples(self.builder, 'unlabeled')
    names = [row['filename'].decode() for row in rows]
    pseudo = pseudo_labels.PseudoLabels(
      np.array([1, 3]),
      [self.root / 'a', self.root / 'b'],
      size=(64, 96),
      fit='stretch',
      fingerprint='',
    )
    found = self.names('train', (2, 3), labels=pseudo)
    labelled = self.photos([1, 4, 5, 6, 7, 8, 9])
    self.assertCountEqual(found, [*labelled, names[1], names[3]])

  def test_present(self):
    self.assertEqual(folds.folds_with_cars(self.builder), list(range(1, 10)))

  def test_no_car_to_validate_on_but_some_to_choose(self):
    found = labels.Labels(None, None, np.array([5, 7, 7]))
    with (
      mock.patch.object(labels, 'of', lambda *_: found),
      self.assertRaisesRegex(
        UserError, r'=\(7,\), as there are cars in the folds 5, 7\.'
      ),
    ):
      folds.select(self.builder, 'validation', Splits((3,)))

  def test_no_car(self):
    with tempfile.TemporaryDirectory() as folder:
      builder = numbered.prepare(folder)  # all in fold 0
      with self.assertRaisesRegex(
        UserError, 'no car in its train split with the folds 2, 7 for valid'
      ) as caught:
        folds.select(builder, 'train', Splits((2, 7)))
      self.assertNotIn('\n', str(caught.exception))
      self.assertEndsWith(str(caught.exception), 'add cars to the folder.')
      self.assertEqual(folds.folds_with_cars(builder), [])
    with tempfile.TemporaryDirectory() as folder:
      builder = numbered.prepare(folder, {'train': 3})
      with self.assertRaisesRegex(UserError, 'no car in its test split, which'):
        folds.select(builder, 'test')


class SharesTest(chex.TestCase):
  """Ten cars of two views, one of each fold."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.builder = folded.prepare(folder)

  def files(self, part, positions):
    rows = reading.undecoded_examples(self.builder, part.split)
    return [rows[int(x)]['filename'].decode() for x in positions]

  @parameterized.parameters('car', 'photo')
  def test_every_photo_is_in_one_split(self, by):
    splits = Splits(shares=(3, 1, 1), by=by)
    seen = {}
    for split, count in ('train', 12), ('validation', 4), ('test', 4):
      part = folds.select(self.builder, split, splits)
      own = self.files(part, part.positions)
      self.assertLen(own, count)
      self.assertFalse(set(own) & set(seen))
      seen |= dict.fromkeys(own, split)
      # Of these cars, all views.
      cars = {name[:12] for name in own}
      every = [f'{car}_0{view}.jpg' for car in cars for view in (1, 2)]
      self.assertCountEqual(self.files(part, part.all_views()), every)
      if by == 'car':
        self.assertCountEqual(own, every)
    self.assertLen(seen, 20)
    every = folds.select(self.builder, 'all', splits)
    self.assertLen(every.positions, 20)

  def test_a_run_reads_its_own(self):
    config = debug.get_config()
    config.data.update(split_shares=(3, 1, 1), split_by='photo', first=15)
    config.data.data_dir = str(pathlib.Path(self.builder.data_path).parents[1])
    config.train.update(batch_size=1, epochs=1)
    data = input_pipeline.RunData.open(self.builder, config)
    self.assertEqual(data.steps, {'train': 9, 'validation': 3, 'test': 3})
    part = folds.select(self.builder, 'train', data.splits)
    own = self.files(part, part.positions)
    read = [name for step in range(9) for name in data.training_files(step)]
    self.assertCountEqual(read, own)
    first = sorted(
      f'{car}_0{view}.jpg' for car in folded.CARS for view in (1, 2)
    )
    self.assertLessEqual(set(own), set(first[:15]))
    pictures = [batch['image'] for batch in data.whole('train')]
    rows = reading.undecoded_examples(self.builder, part.split)
    for picture, position in zip(pictures, part.positions, strict=True):
      expected = images.decode_photo(rows[int(position)]['image'])
      np.testing.assert_array_equal(picture[0], expected)

  def test_in_words(self):
    said = folds.describe(self.builder)
    self.assertEqual(
      said, 'train 16 photos of 8 cars, validation 2 of 1, test 2 of 1'
    )
    said = folds.describe(self.builder, Splits(shares=(8, 1, 1), seed=4))
    self.assertEqual(
      said,
      'train 16 photos of 8 cars, validation 2 of 1, test 2 of 1\n'
      'split 8/1/1 by car, seed 4',
    )
    splits = Splits(shares=(18, 1, 1), by='photo')
    *_, warning = folds.describe(self.builder, splits).splitlines()
    self.assertRegex(
      warning, r'^warning   views of [12] cars? are in more than'
    )

  def test_no_car_by_folds(self):
    with self.assertRaisesRegex(UserError, 'none of the first 1 cars .*; set'):
      for split in ('train', 'validation'):
        folds.select(self.builder, split, Splits(first=1))
