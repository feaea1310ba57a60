"""Two folds and two stages, trained for a moment."""

import contextlib
import csv
import io
import itertools
import json
import pathlib
import shutil
import tempfile
import types
from unittest import mock

import chex
import numpy as np
from absl import flags
from PIL import Image

from carvana_jax import crossval
from carvana_jax.configs import debug
from carvana_jax.datasets import folds, prepare, spec
from carvana_jax.datasets.chosen_splits import Splits
from carvana_jax.evaluation import evaluate_run, scoring
from carvana_jax.inference import networks
from carvana_jax.masks import from_logits
from carvana_jax.system.errors import Interrupted, UserError
from carvana_jax.training import epoch, stopping, trained_run
from carvana_jax.workflows import cross_validation, ensemble_scores, out_of_fold
from tests.helpers import folded

COUNT = 2
GROUPS = [[1, 3, 5, 7, 9], [2, 4, 6, 8]]


def rows(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


class GroupFoldsTest(chex.TestCase):
  def test_all_folds_but_the_test_splits(self):
    self.assertEqual(
      cross_validation.group_folds(5, range(1, 10)),
      [(1, 6), (2, 7), (3, 8), (4, 9), (5,)],
    )
    self.assertEqual(
      cross_validation.group_folds(2, [2, 7]), [(1, 3, 5, 7, 9), (2, 4, 6, 8)]
    )

  def test_a_run_without_car(self):
    with self.assertRaisesRegex(
      UserError, '--folds=3: no car is in fold 2.*choose fewer folds'
    ):
      cross_validation.group_folds(3, [1, 3, 4, 6, 7, 9])
    with self.assertRaisesRegex(UserError, 'ids; add cars to the folder'):
      cross_validation.group_folds(2, [1, 3])  # there are no fewer


class ClaimedDataTest(chex.TestCase):
  def test_labels_of_an_older_version_are_gone_on_with(self):
    output = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = debug.get_config().data
    config.data_dir = str(output / 'data')
    claimed = lambda: cross_validation._claimed_data(output, config, None)
    now = 'carvana-0123abcd-4567cdef/x'
    with mock.patch.object(prepare, 'identity', lambda *_: now):
      self.assertEqual(claimed(), now)
      for there, expected in (
        ('carvana-0123abcd/x', 'carvana-0123abcd/x'),
        ('carvana-0123abce/x', now),
      ):
        (output / 'settings.json').write_text(json.dumps({'data': there}))
        self.assertEqual(claimed(), expected)


class CrossvalTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    builder = folded.prepare(cls.root / 'data')
    cls.enterClassContext(
      mock.patch.object(prepare, 'dataset', lambda *_: builder)
    )
    cls.whole = cls.root / 'whole'
    cls.results = cls.crossval(cls.whole)

  @classmethod
  def config(cls, **fields):
    config = debug.get_config()
    config.data.update(data_dir=str(cls.root), unlabeled=True)
    config.train.update(epochs=1, batch_size=4, picture_epochs=0, **fields)
    config.model.levels = 1
    config.lock()  # as from the command line
    return config

  @classmethod
  def crossval(cls, folder, labelled=True, **fields):
    config = cls.config(**fields)
    with contextlib.redirect_stdout(io.StringIO()):
      return cross_validation.crossval(config, folder, COUNT, labelled, True)

  def copy(self):
    """A folder of its own with the finished first stage."""
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    shutil.copytree(
      self.whole, folder / 'copy', ignore=shutil.ignore_patterns('stage2')
    )
    return folder / 'copy'

  def test_every_photo_but_the_test_splits_is_scored_once(self):
    for stage in (self.whole, self.whole / 'stage2'):
      found = rows(stage / 'out_of_fold' / 'images.csv')
      expected = {
        f'{spec.photo_name(car, view)}.jpg'
        for car in folded.CARS
        if spec.fold_of(car) != spec.TEST_FOLD
        for view in range(1, folded.VIEWS + 1)
      }
      self.assertCountEqual([row['filename'] for row in found], expected)
      for row in found:
        validated = GROUPS[int(row['fold']) - 1]
        self.assertIn(spec.fold_of(row['car_id']), validated)

  def test_scores_are_those_of_each_folds_evaluation(self):
    for stage in (self.whole, self.whole / 'stage2'):
      found = rows(stage / 'out_of_fold' / 'images.csv')
      evaluated = {}
      for number in (1, 2):
        folder = stage / f'fold_{number}' / 'evaluation' / 'studio-validation'
        summary = json.loads((folder / 'summary.json').read_text())
        self.assertEqual(summary['validation_folds'], GROUPS[number - 1])
        for row in rows(folder / 'images.csv'):
          evaluated[row['filename']] = float(row['dice'])
      self.assertEqual(
        {row['filename']: float(row['dice']) for row in found}, evaluated
      )

  def test_test_scores_are_those_of_each_folds_evaluation(self):
    singles = []
    for number in (1, 2):
      run = trained_run.load(self.whole / f'fold_{number}')
      part = folds.select(prepare.dataset(), 'test')
      scored = scoring.score_images(run, prepare.dataset(), part)
      singles.append([one.row['dice'] for one in scored])
    row = self.results[0]['test'][0]
    self.assertEqual(row['name'], 'one network, mean of 2')
    for name, function in (
      ('mean', np.mean), ('median', np.median), ('worst', np.min)
    ):  # fmt: skip
      expected = np.mean([function(single) for single in singles])
      self.assertAlmostEqual(row[f'dice_{name}'], expected)
    self.assertEqual((row['images'], row['cars']), (folded.VIEWS, 1))

  def test_tables_are_narrow(self):
    for found in self.results:
      lines = ensemble_scores.gains_table(found).splitlines()
      self.assertLessEqual(max(map(len, lines)), 80)
      self.assertEqual(lines[1], 'out of fold: 18 photos of 9 cars')
    long = [
      row | {'name': 'cleaning: holes+largest'}
      for row in self.results[0]['test']
    ]
    lines = ensemble_scores.gains_table(
      self.results[0] | {'test': long}
    ).splitlines()
    self.assertLessEqual(max(map(len, lines)), 80)

  def test_the_command_prints_both_stages(self):
    args = types.SimpleNamespace(
      config=self.config(), workdir=str(self.whole), folds=COUNT,
      pseudo_labels=True, save_probabilities=True,
    )  # fmt: skip
    printed = io.StringIO()
    with (
      mock.patch.object(flags, 'FLAGS', args),
      contextlib.redirect_stdout(printed),
    ):
      crossval.main()
    first, second = map(ensemble_scores.gains_table, self.results)
    size = self.results[0]['size']
    name = self.results[0]['dataset']
    head = f'\n{name}, 2 folds, scored at {size}'
    self.assertEndsWith(
      printed.getvalue(),
      f'{head}\n{first}\n{head}; stage 2, with pseudo-labels\n{second}\n'
      f'written to {self.whole}\n',
    )

  def test_probabilities_are_those_of_the_network_that_did_not_see_the_car(
    self,
  ):
    folder = self.whole / 'out_of_fold'
    found = self.results[0]
    run = trained_run.load(self.whole / 'fold_1').with_flip(found['flip'])
    part = folds.select(prepare.dataset(), 'validation', Splits(GROUPS[0]))
    predicted = scoring.map_predictions(
      lambda truth, prediction: (truth.label['filename'], prediction.levels()),
      [run], prepare.dataset(), part, '',
    )  # fmt: skip
    self.assertLen(predicted, 10)
    for name, levels in predicted:
      path = folder / f'{pathlib.Path(name).stem}_probability.png'
      with Image.open(path) as picture:
        np.testing.assert_array_equal(
          np.asarray(picture), from_logits.probabilities(levels)
        )

  def test_predict_takes_all_networks_and_what_was_chosen(self):
    for stage, found in zip(
      (self.whole, self.whole / 'stage2'), self.results, strict=True
    ):
      identity = networks.load([str(stage)], tuned=True).identity()
      self.assertEqual(
        identity,
        {
          'networks': found['networks'],
          'flip': [found['flip']] * COUNT,
          'threshold': found['best_threshold'],
          'cleaning': found['best_cleaning'],
        },
      )
      plain = networks.load([str(stage)], tuned=False).identity()
      self.assertEqual(plain['networks'], found['networks'])
      self.assertEqual((plain['threshold'], plain['cleaning']), (0.5, 'none'))
    self.assertNotEqual(*(found['networks'] for found in self.results))

  def test_predict_refuses_what_is_unfinished_or_was_changed(self):
    folder = self.copy()
    path = folder / 'crossval.json'
    text = path.read_text()
    path.unlink()
    with self.assertRaisesRegex(UserError, 'unfinished cross-validation'):
      networks.load([str(folder)], tuned=False)
    digest = self.results[0]['networks'][1]
    path.write_text(text.replace(digest, digest[::-1]))
    with self.assertRaisesRegex(UserError, 'holds other networks than'):
      networks.load([str(folder)], tuned=True)
    path.write_text(text)
    with self.assertRaisesRegex(UserError, 'several --workdir'):
      networks.load([str(folder), str(folder / 'fold_1')], tuned=True)

  def test_the_second_stage_trains_on_pseudo_labels(self):
    folder = self.whole / 'pseudo_labels'
    names = {
      f'{spec.photo_name(car, view)}_probability.png'
      for car in folded.UNLABELED
      for view in range(1, folded.VIEWS + 1)
    }
    found = {path.name for path in folder.glob('*_probability.png')}
    self.assertEqual(found, names)
    for number in (1, 2):
      run = trained_run.load(self.whole / 'stage2' / f'fold_{number}')
      self.assertIn(' with pseudo labels ', run.data)
      config = run.config.data
      self.assertEqual(config.pseudo_labels, str(folder))
      self.assertEqual(list(config.validation_folds), GROUPS[number - 1])

  def test_what_is_done_is_not_repeated(self):
    before = (self.whole / 'crossval.json').read_bytes()
    with (
      mock.patch.object(epoch, 'train', side_effect=AssertionError),
      mock.patch.object(scoring, 'map_predictions', side_effect=AssertionError),
    ):
      found = self.crossval(self.whole, labelled=False)
    self.assertEqual(found, self.results[:1])
    self.assertEqual((self.whole / 'crossval.json').read_bytes(), before)

  def test_interrupted_anywhere_it_ends_as_if_it_never_was(self):
    folder = self.root / 'parts'
    once = lambda: self.crossval(folder, labelled=False)
    count = itertools.count()
    looks = property(lambda _: next(count) >= 1, lambda *_: None)
    with (
      mock.patch.object(stopping.StopSignal, 'received', looks, create=True),
      self.assertRaises(Interrupted),  # within the first fold
    ):
      once()
    self.assertFalse((folder / 'fold_2').exists())
    for module, name in (
      (evaluate_run, 'evaluate'),
      (out_of_fold, 'measure_dice'),
      (out_of_fold, 'measure_cleaning'),
    ):
      original, calls = getattr(module, name), itertools.count()

      def stop(*arguments, original=original, calls=calls):
        if next(calls) == 1:  # the first fold's is done
          raise KeyboardInterrupt
        return original(*arguments)

      with (
        mock.patch.object(module, name, stop),
        self.assertRaises(KeyboardInterrupt),
      ):
        once()
      self.assertFalse((folder / 'crossval.json').exists())
    self.assertEqual(once(), self.results[:1])
    for name in ('crossval.json', 'out_of_fold/images.csv'):
      self.assertEqual(
        (folder / name).read_bytes(), (self.whole / name).read_bytes()
      )

  def test_another_config_or_other_data_are_refused(self):
    folder = self.copy()
    with self.assertRaisesRegex(
      UserError, "fold_1 holds a run of another config: train.loss .'bce_dice'"
    ):
      self.crossval(folder, loss='bce')
    with (
      mock.patch.object(prepare, 'identity', lambda *_: 'other/1.0.0'),
      self.assertRaisesRegex(UserError, 'but the folder now gives other/1.0.0'),
    ):
      self.crossval(folder)

  def test_what_can_not_be_done_is_refused_before_training(self):
    folder = self.copy()
    with self.assertRaisesRegex(
      UserError, r'fold_1 .*validation_folds \(\[1, 3, 5, 7, 9\] there, \[1, 4'
    ):
      cross_validation.prepare_stage(self.config(), folder, COUNT + 1)
    with self.assertRaisesRegex(UserError, 'fold_1 holds a run of its own'):
      cross_validation.prepare_stage(self.config(), folder / 'fold_1', COUNT)
    config = self.config()
    config.data.validation_folds = (2, 3)
    with self.assertRaisesRegex(UserError, 'is set by --folds; leave it out'):
      cross_validation.prepare_stage(config, folder, COUNT)
    for field, value in ('split_shares', (8, 1, 1)), ('first', 5):
      config = self.config()
      config.data[field] = value
      with self.assertRaisesRegex(UserError, 'splits all cars by --folds'):
        cross_validation.prepare_stage(config, folder, COUNT)
    config = self.config()
    config.data.unlabeled = False
    new = self.root / 'new'
    with self.assertRaisesRegex(UserError, 'set config.data.unlabeled=True'):
      cross_validation.crossval(config, new, COUNT, True, False)
    self.assertFalse(new.exists())
