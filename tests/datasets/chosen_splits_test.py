"""Splits by shares and a seed, of cars or photos, of all or of the first."""

import collections
import hashlib
import json

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import default
from carvana_jax.datasets import chosen_splits, labels, spec
from carvana_jax.datasets.chosen_splits import Splits
from carvana_jax.system.errors import UserError

CARS = [f'{number:012x}' for number in range(318)]
VIEWS = 3


def labels_of(cars=CARS):
  """The labels of some views of cars."""
  photos = [(car, view) for car in cars for view in range(1, VIEWS + 1)]
  return labels.Labels(
    np.array([f'{spec.photo_name(*photo)}.jpg' for photo in photos]),
    np.array([car for car, _ in photos]),
    np.array([spec.fold_of(car) for car, _ in photos]),
  )


def counts_of(units, assigned):
  """In how many cars, or photos, each split is."""
  pairs = set(zip(units.tolist(), assigned.tolist(), strict=True))
  return dict(collections.Counter(split for _, split in pairs))


class AssignTest(chex.TestCase):
  @parameterized.parameters(
    ((190, 64, 64), (190, 64, 64)),
    # 254.4, 31.8 and 31.8 of 318 cars.
    ((80, 10, 10), (254, 32, 32)),
    # 190.8, 63.6 and 63.6: of equal remainders the first.
    ((60, 20, 20), (191, 64, 63)),
  )
  def test_counts_are_those_of_the_largest_remainders(self, shares, counts):
    found = labels_of()
    assigned = chosen_splits.assign(found, Splits(shares=shares), 'carvana')
    names = ('train', 'validation', 'test')
    self.assertEqual(
      counts_of(found.car_id, assigned), dict(zip(names, counts, strict=True))
    )
    self.assertEqual(assigned.tolist()[::VIEWS], assigned.tolist()[1::VIEWS])

  @parameterized.parameters(
    ('car', 3, 10),
    ('photo', 1, 30),
  )
  def test_order_is_that_of_a_hash_of_seed_and_id(self, by, views, count):
    found = labels_of(CARS[:10])
    units = (found.filename if by == 'photo' else found.car_id).tolist()
    digest = lambda x: hashlib.sha256(f'42:{x}'.encode()).hexdigest()
    ordered = sorted(set(units), key=digest)
    ends = int(0.6 * count), int(0.8 * count)
    splits = Splits(shares=(3, 1, 1), seed=42, by=by)
    expected = np.empty(30, object)
    for index, unit in enumerate(units):
      place = ordered.index(unit)
      after = sum(place >= end for end in ends)
      expected[index] = ('train', 'validation', 'test')[after]
    # Whatever the order of the examples.
    for order in (np.arange(30), np.random.default_rng(0).permutation(30)):
      assigned = chosen_splits.assign(found.at(order), splits, 'carvana')
      self.assertEqual(assigned.tolist(), expected[order].tolist())
    other = chosen_splits.assign(found, splits._replace(seed=43), 'carvana')
    self.assertNotEqual(other.tolist(), expected.tolist())
    self.assertLen(set(units), 30 // views)

  def test_first_by_id_or_by_name(self):
    found = labels_of(CARS[::-1])
    is_used = lambda **options: (
      chosen_splits.assign(
        found, Splits(shares=(8, 1, 1), **options), 'carvana'
      )
      != ''
    )
    cars = is_used(first=100)
    self.assertEqual(set(found.car_id[cars]), set(CARS[:100]))
    self.assertEqual(cars.sum(), 100 * VIEWS)
    photos = is_used(first=100, by='photo')
    names = sorted(found.filename.tolist())[:100]
    self.assertCountEqual(found.filename[photos].tolist(), names)

  def test_first_by_folds(self):
    found = labels_of()
    assigned = chosen_splits.assign(found, Splits((3, 8), first=50), 'carvana')
    for car, split in zip(found.car_id, assigned, strict=True):
      fold = spec.fold_of(car)
      expected = {0: 'test', 3: 'validation', 8: 'validation'}.get(
        fold, 'train'
      )
      self.assertEqual(split, expected if car in CARS[:50] else '')

  @parameterized.parameters(
    (Splits(shares=(80, 10, 10)), 5, r'\(80, 10, 10\) of 5 cars .* for test'),
    (Splits(shares=(1, 1, 1)), 2, 'of 2 cars leaves none for test; add cars'),
    (Splits(first=6), 5, 'first=6 is more than the 5 cars of carvana'),
    (
      Splits(shares=(1, 1, 1), by='photo', first=16),
      5,
      'first=16 is more than the 15 photos',
    ),
  )
  def test_too_few(self, splits, cars, message):
    with self.assertRaisesRegex(UserError, message):
      chosen_splits.assign(labels_of(CARS[:cars]), splits, 'carvana')


class FieldsTest(chex.TestCase):
  def splits(self, **fields):
    config = default.get_config().data
    config.update(fields)
    return chosen_splits.of(config)

  def test_default_are_the_stored_ones(self):
    self.assertEqual(self.splits(), chosen_splits.STORED)

  @parameterized.parameters(
    ({'split_shares': (80, 20)}, 'three whole numbers'),
    ({'split_shares': (80, 20, 0)}, 'above 0'),
    (
      {'split_shares': (8, 1, 1), 'split_by': 'view'},
      'view must be one of car',
    ),
    ({'split_shares': (8, 1, 1), 'split_seed': -1}, 'seed=-1 must be at least'),
    ({'first': -1}, 'first=-1 must be at least 0'),
    ({'split_seed': 1}, 'split_seed=1 needs config.data.split_shares'),
    ({'split_by': 'photo'}, 'split_by=photo needs config.data.split_shares'),
    (
      {'split_shares': (8, 1, 1), 'validation_folds': (2,)},
      r'validation_folds=\(2,\) is of no use',
    ),
  )
  def test_refused(self, fields, message):
    with self.assertRaisesRegex(UserError, message) as caught:
      self.splits(**fields)
    self.assertNotIn('\n', str(caught.exception))

  def test_facts_are_read_back(self):
    chosen = self.splits(
      split_shares=(60, 20, 20), split_seed=7, split_by='photo', first=90
    )
    for splits in (chosen, chosen_splits.STORED):
      facts = json.loads(json.dumps(splits.facts()))
      self.assertEqual(chosen_splits.from_facts(facts), splits)

  @parameterized.parameters(
    (None,), (3,), ('car',), ([],), ({'seeds': 3},), ({'shares': 3},),
    ({'shares': [1, 1]},), ({'shares': [1, 1, 0]},), ({'seed': 'a'},),
    ({'by': []},), ({'first': -1},),
  )  # fmt: skip
  def test_other_facts_are_none(self, facts):
    self.assertIsNone(chosen_splits.from_facts(facts))

  @parameterized.parameters(
    ({'split_shares': (190, 64, 64)}, '190/64/64 by car, seed 0'),
    (
      {'split_shares': (8, 1, 1), 'split_by': 'photo', 'first': 2500},
      '8/1/1 by photo, seed 0, of the first 2500 photos',
    ),
    ({'first': 9}, "by the hash's folds, of the first 9 cars"),
  )
  def test_in_words(self, fields, text):
    self.assertEqual(self.splits(**fields).text('carvana'), text)

  def test_of_own_photos_by_group(self):
    splits = self.splits(split_shares=(8, 1, 1))
    self.assertEqual(splits.text('folder'), '8/1/1 by group, seed 0')
