"""Folders of few cars, and the table of what was trained on them."""

import json
import pathlib
import tempfile

from absl.testing import absltest

from benchmarks import few_cars
from carvana_jax.datasets import spec

IDS = [f'{number:012x}' for number in range(200)]
TRAIN = [car for car in IDS if spec.split_of(car) == 'train']


class FewCarsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def test_few_cars_fill_an_epoch_by_other_names(self):
    names = few_cars.repeated(TRAIN[:3])
    self.assertLen(names, 18)  # six times three: no more than 20
    self.assertEqual(list(names.values()), 6 * TRAIN[:3])
    self.assertEqual({spec.split_of(name) for name in names}, {'train'})
    many = few_cars.repeated(TRAIN[:30])
    self.assertEqual(many, {car: car for car in TRAIN[:30]})

  def test_links_have_the_new_names(self):
    source = self.root / 'kaggle'
    for kind, ending in (('train', '.jpg'), ('train_masks', '_mask.gif')):
      (source / kind).mkdir(parents=True)
      for car in TRAIN[:2]:
        (source / kind / f'{car}_07{ending}').write_text(f'{car} {kind}')
    target = self.root / 'few'
    for _ in range(2):  # the second call finds all there
      few_cars.link(source, {TRAIN[5]: TRAIN[0]}, target)
    found = {
      str(x.relative_to(target)): x.read_text() for x in target.rglob('*.*')
    }
    expected = {
      f'train/{TRAIN[5]}_07.jpg': f'{TRAIN[0]} train',
      f'train_masks/{TRAIN[5]}_07_mask.gif': f'{TRAIN[0]} train_masks',
    }
    self.assertEqual(found, expected)

  def test_splits_are_those_of_the_data_set(self):
    (self.root / 'train').mkdir()
    for car in IDS[:40]:
      (self.root / 'train' / f'{car}_01.jpg').touch()
    found = few_cars.split(self.root)
    cars = [car for own in found.values() for car in own]
    self.assertCountEqual(cars, IDS[:40])
    for split, cars in found.items():
      self.assertEqual({spec.split_of(car) for car in cars}, {split})

  def test_table_and_plot(self):
    for run, values in {
      '2 scratch': (0.9, 0.8),
      '5 studio': (0.7, 0.6),
    }.items():
      for split, value in zip(('validation', 'test'), values, strict=True):
        path = self.root / run / f'evaluation/carvana-{split}/summary.json'
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({'dice_mean': value}))
    lines = few_cars.table(self.root, [2, 5]).splitlines()
    self.assertEqual(lines[1].split(), ['2', '0.90000', '/', '0.80000'])
    self.assertEqual(lines[2].split(), ['5', '0.70000', '/', '0.60000'])
    # Each in its own column.
    self.assertLess(lines[1].index('/'), lines[2].index('/'))
    self.assertStartsWith(few_cars.plot(self.root, [2, 5]), b'\x89PNG')


if __name__ == '__main__':
  absltest.main()
