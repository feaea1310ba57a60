"""Comparing runs: right signs, right pairs, and doubt where there is reason."""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.evaluation import comparison
from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
CARS, VIEWS = 12, 4
SUMMARY = {'size': '64x96', 'threshold': 0.5, 'flip': False}


def rows_of(dice):
  """An evaluation, [cars, views] of Dice."""
  return {
    f'{car}_{view:02}.jpg': {'car_id': f'{car}', 'dice': str(dice[car, view])}
    for car in range(CARS)
    for view in range(VIEWS)
  }


def table(result, names, second=SUMMARY):
  """The table of an evaluation with the usual settings and another one."""
  return comparison.table(result, names, (SUMMARY, second))


class CompareTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.default_rng(0)
    self.dice = self.rng.uniform(0.9, 0.99, (CARS, VIEWS))

  def test_numbers(self):
    better = self.dice.copy()
    better[:3] += 0.004
    result = comparison.compare(rows_of(self.dice), rows_of(better))
    self.assertAlmostEqual(result['difference'], 0.001)
    self.assertAlmostEqual(result['first'][0], self.dice.mean())
    self.assertAlmostEqual(result['second'][2], better.min())
    self.assertEqual((result['images'], result['cars']), (48, 12))
    self.assertEqual(result['images_better'], 0.25)
    self.assertEqual(result['cars_better'], 0.25)
    self.assertBetween(0.001, *result['interval'])

  def test_a_small_but_steady_difference_is_real(self):
    gain = self.rng.uniform(0.0001, 0.0003, self.dice.shape)
    a, b = rows_of(self.dice), rows_of(self.dice + gain)
    text = table(comparison.compare(a, b), ('a', 'b'))
    self.assertIn('b is better', text)
    text = table(comparison.compare(b, a), ('b', 'a'))
    self.assertIn('b is better', text)
    self.assertLess(max(map(len, text.splitlines())), 81)

  def test_one_lucky_car_is_not(self):
    other = self.dice.copy()
    other[0] += 0.05
    other[1:] -= 0.0005
    result = comparison.compare(rows_of(self.dice), rows_of(other))
    self.assertGreater(result['difference'], 0)
    text = table(result, ('a', 'b'))
    self.assertIn('No difference is shown', text)

  def test_few_cars_tell_nothing(self):
    keep = lambda rows: {k: v for k, v in rows.items() if v['car_id'] < '3'}
    few = keep(rows_of(self.dice)), keep(rows_of(self.dice + 0.01))
    text = table(comparison.compare(*few), ('a', 'b'))
    self.assertIn('too few to tell', text)

  def test_other_images_are_refused(self):
    a, b = rows_of(self.dice), rows_of(self.dice)
    del b['3_02.jpg']
    with self.assertRaisesRegex(UserError, '3_02.jpg was scored in one'):
      comparison.refuse_other_images(a, b)

  def test_other_sizes_are_refused(self):
    other = SUMMARY | {'size': '32x48'}
    comparison.refuse_other_sizes(SUMMARY, dict(SUMMARY), ('a', 'b'))
    with self.assertRaisesRegex(UserError, 'a was .* 64x96 and b at 32x48'):
      comparison.refuse_other_sizes(SUMMARY, other, ('a', 'b'))

  @parameterized.parameters(
    ({'threshold': 0.62109375}, ['0.621', 'no', 'none']),
    ({'cleaning': 'holes+largest'}, ['0.500', 'no', 'holes+largest']),
    ({'flip': True}, ['0.500', 'yes', 'none']),
  )
  def test_other_settings_are_shown(self, change, cells):
    result = comparison.compare(rows_of(self.dice), rows_of(self.dice))
    names = 'a' * 40, 'b' * 40
    text = table(result, names, SUMMARY | change)
    words = [line.split() for line in text.splitlines()]
    self.assertIn([names[0], '0.500', 'no', 'none'], words)
    self.assertIn([names[1], *cells], words)
    self.assertLess(max(map(len, text.splitlines())), 81)
    self.assertNotIn('threshold', table(result, names))


def write_evaluation(folder, dice, flip=False):
  """Six cars of one Dice."""
  folder.mkdir(parents=True)
  with (folder / 'images.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, ['filename', 'car_id', 'dice'])
    writer.writeheader()
    for car in 'uvwxyz':
      writer.writerow(
        {'filename': f'{car}_01.jpg', 'car_id': car, 'dice': dice}
      )
  summary = SUMMARY | {'flip': flip}
  (folder / 'summary.json').write_text(json.dumps(summary))


class FoldersTest(chex.TestCase):
  def test_a_cross_validation(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    root = pathlib.Path(folder)
    (root / 'fold_1').mkdir()
    with self.assertRaisesRegex(UserError, 'one of its runs, .*/fold_1'):
      comparison.evaluation_folders([root, root], 'studio', 'test')

  def test_scores_at_the_networks_size_are_refused(self):
    folder = pathlib.Path('run/evaluation/carvana-test-network_size')
    with self.assertRaisesRegex(UserError, 'none of each image; give'):
      comparison.evaluation_folders([folder, folder], None, None)


class CommandTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    for name, dice in (('a', 0.9), ('b', 0.8)):
      folder = self.root / name / 'evaluation' / 'studio-test'
      write_evaluation(folder, dice, flip=name == 'b')
      config = '{"data": {"dataset": "studio"}}'
      (self.root / name / 'config.json').write_text(config)

  def compare(self, *words):
    return subprocess.run(
      [sys.executable, '-m', 'carvana_jax.compare', *map(str, words)],
      cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

  def test_two_workdirs(self):
    result = self.compare(self.root / 'a', self.root / 'b')
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertIn('a is better', result.stdout)
    self.assertRegex(result.stdout, '/b +0.500 +yes +none\n')
    for words, part in (
      (('a',), 'give RUN_A RUN_B'),
      (('a', 'b', '--dataset=carvana'), 'carvana-test'),
    ):
      paths = [word if word[0] == '-' else self.root / word for word in words]
      result = self.compare(*paths)
      self.assertEqual(result.returncode, 2)
      self.assertIn(part, result.stderr)
      self.assertLen(result.stderr.splitlines(), 1)

  def test_folders_of_evaluations(self):
    fine = self.root / 'a' / 'evaluation' / 'studio-test-fine'
    write_evaluation(fine, 0.95)
    plain = fine.with_name('studio-test')
    for words, better in (
      ((plain, fine), 'studio-test-fine is better'),
      ((fine, self.root / 'b'), 'studio-test-fine is better'),
      ((self.root / 'b', plain), 'studio-test is better'),
    ):
      result = self.compare(*words)
      self.assertEqual(result.returncode, 0, result.stderr)
      self.assertIn(better, result.stdout)
