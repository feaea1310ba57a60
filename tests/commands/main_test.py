"""The commands as a user runs them, from preparing data to the last table."""

import csv
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import chex
import numpy as np
from PIL import Image

from carvana_jax.datasets import spec
from carvana_jax.reporting import run_report
from carvana_jax.training import checkpoint, trained_run
from tests.helpers import browser
from tests.helpers.commands import (
  QUICK_TO_COMPILE,
  ROOT,
  debug,
  debug_run,
  environment,
  python,
)


def jsonl(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


class CommandTest(chex.TestCase):
  def assert_one_line(self, result, *parts):
    """The command ended with code 2 and one line holding all parts."""
    self.assertEqual(result.returncode, 2, result.stderr)
    lines = result.stderr.strip().splitlines()
    self.assertLen(lines, 1)
    self.assertStartsWith(lines[0], 'error: ')
    for part in parts:
      self.assertIn(part, lines[0])


class RunTest(CommandTest):
  """With a copy of the finished debug run."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.root = pathlib.Path(folder)
    cls.made = debug_run()
    cls.data_dir = cls.made / 'data'
    cls.workdir = cls.root / 'whole'
    shutil.copytree(cls.made / 'run', cls.workdir)


class MainTest(RunTest):
  """What a run leaves behind, and what can be done with it."""

  def evaluate(self, *arguments):
    return python(
      'carvana_jax.evaluate', f'--workdir={self.workdir}', *arguments
    )

  def test_header_names_what_ran(self):
    for word in ('command ', 'commit ', 'jax 0.', '2 x cpu', '"epochs": 2'):
      self.assertIn(word, (self.made / 'stdout').read_text())

  def test_tells_photos_and_cars_of_each_split(self):
    self.assertIn(
      '\ntrain 720 photos of 45 cars, validation 80 of 5, test 96 of 6\n',
      (self.made / 'stdout').read_text(),
    )

  def test_rows_of_epochs(self):
    lines = (self.made / 'stdout').read_text().splitlines()
    start = next(i for i, x in enumerate(lines) if x.startswith('epoch'))
    self.assertEqual(
      lines[start - 1], "* of masks at the network's size, mean over images"
    )
    records = jsonl(self.workdir / 'metrics.jsonl')
    head, *rows = [
      line for line in lines[start:] if re.match(' *(epoch|[0-9]+) ', line)
    ][: 1 + len(records)]
    self.assertLess(max(len(x) for x in (head, *rows)), 81)
    columns = {
      'epoch': 'epoch', 'step': 'step', 'loss': 'train/loss',
      'val loss': 'validation/loss', 'val Dice*': 'validation/dice',
      'val IoU*': 'validation/iou', 'val acc.*': 'validation/accuracy',
    }  # fmt: skip
    self.assertEqual(
      head.split(), ' '.join([*columns, 'images/s', 'minutes']).split()
    )
    for row, record in zip(rows, records, strict=True):
      for shown, key in zip(row.split(), columns.values(), strict=False):
        self.assertAlmostEqual(float(shown), record[key], delta=5.1e-6)

  def test_ends_with_the_table_and_its_place(self):
    tail = (self.made / 'stdout').read_text().splitlines()[-12:]
    self.assertLess(max(map(len, tail[:-1])), 81)
    self.assertStartsWith(tail[0], 'studio/64x96/1.0.1 test')
    self.assertRegex(tail[-3], r'^wrong .* % of the pixels within 4 pixels')
    self.assertIn('(from validation)', tail[-2])
    folder = self.made / 'run' / 'evaluation' / 'studio-test'
    self.assertIn(str(folder), tail[-1])

  def test_records(self):
    lines = jsonl(self.workdir / 'metrics.jsonl')
    self.assertEqual([line['epoch'] for line in lines], [1, 2])
    for name in ('train/loss', 'train/dice', 'validation/loss',
                 'validation/dice', 'validation/iou', 'validation/accuracy',
                 'images_per_second', 'input_wait'):  # fmt: skip
      self.assertIn(name, lines[0])
    self.assertLess(lines[1]['train/loss'], lines[0]['train/loss'])
    self.assertNotEmpty(list((self.workdir / 'tensorboard').iterdir()))
    folder = self.workdir / 'pictures'
    names = [f'epoch_00{epoch}.png' for epoch in range(3)]
    self.assertEqual(sorted(path.name for path in folder.iterdir()), names)
    with Image.open(folder / names[0]) as picture:
      # Twice the size, and below titles.
      self.assertEqual(picture.width, 2 * 3 * 96)
      self.assertGreater(picture.height, 4 * 2 * 64)

  def test_summary_and_images(self):
    folder = self.workdir / 'evaluation' / 'studio-test'
    summary = json.loads((folder / 'summary.json').read_text())
    with (folder / 'images.csv').open() as file:
      rows = list(csv.DictReader(file))
    dice = [float(row['dice']) for row in rows]
    self.assertEqual(dice, sorted(dice))
    self.assertEqual(summary['images'], len(rows))
    self.assertEqual(summary['cars'], len({row['car_id'] for row in rows}))
    self.assertEqual(len(rows), 16 * summary['cars'])
    self.assertEqual(summary['size'], '64x96')
    self.assertEqual(summary['threshold'], 0.5)
    self.assertAlmostEqual(summary['dice_mean'], np.mean(dice))
    self.assertAlmostEqual(summary['dice_median'], np.median(dice))
    self.assertEqual(summary['dice_worst'], dice[0])
    for name in ('iou', 'ceiling_soft', 'surface_distance', 'dice_band_4'):
      mean = np.mean([float(row[name]) for row in rows])
      self.assertAlmostEqual(summary[f'{name}_mean'], mean)
    self.assertBetween(summary['dice_mean'], *summary['dice_interval'])
    self.assertEqual(summary['dice_worst_percent'], dice[0])  # 1 of 96
    # The network's size is the full one here.
    self.assertEqual(summary['ceiling_hard_mean'], 1)
    self.assertEqual({spec.split_of(row['car_id']) for row in rows}, {'test'})

  def test_threshold_of_validation_is_applied(self):
    folder = self.workdir / 'evaluation'
    there, here = (
      json.loads((folder / f'studio-{split}' / 'summary.json').read_text())
      for split in ('validation', 'test')
    )
    self.assertNotIn('tuned_threshold', there)
    self.assertEqual(here['tuned_threshold'], there['best_threshold'])
    self.assertEqual(here['tuned_cleaning'], there['best_cleaning'])
    self.assertGreaterEqual(there['best_threshold_dice_mean'],
                            there['dice_mean'])  # fmt: skip
    self.assertGreaterEqual(there['best_cleaning_dice_mean'],
                            there['best_threshold_dice_mean'])  # fmt: skip

  def test_groups(self):
    folder = self.workdir / 'evaluation' / 'studio-test'
    with (folder / 'groups.csv').open() as file:
      groups = list(csv.DictReader(file))
    with (folder / 'images.csv').open() as file:
      rows = list(csv.DictReader(file))
    views = {g['group']: g for g in groups if g['by'] == 'view'}
    self.assertLen(views, 16)
    expected = np.mean([float(r['dice']) for r in rows if r['view'] == '3'])
    self.assertAlmostEqual(float(views['3']['dice_mean']), expected)
    for by in ('view', 'make', 'colour', 'body'):
      counts = [int(g['images']) for g in groups if g['by'] == by]
      self.assertEqual(sum(counts), len(rows))

  def test_errors_by_distance_are_all_errors(self):
    folder = self.workdir / 'evaluation' / 'studio-test'
    with (folder / 'errors.csv').open() as file:
      errors = list(csv.DictReader(file))
    with (folder / 'images.csv').open() as file:
      rows = list(csv.DictReader(file))
    summary = json.loads((folder / 'summary.json').read_text())
    wrong = [int(row['missed']) + int(row['added']) for row in errors]
    pixels = sum(1 - float(row['accuracy']) for row in rows) * 64 * 96
    self.assertAlmostEqual(sum(wrong), pixels, 3)
    self.assertAlmostEqual(summary['wrong_within_4'], sum(wrong[:2]) / pixels)
    self.assertEqual(sum(wrong[4:]), sum(int(row['wrong_far']) for row in rows))

  def test_evaluates_another_split(self):
    result = self.evaluate('--split=all')
    self.assertEqual(result.returncode, 0, result.stderr)
    path = self.workdir / 'evaluation' / 'studio-all' / 'summary.json'
    self.assertEqual(json.loads(path.read_text())['cars'], 56)

  def test_evaluations_with_flips_are_kept_apart(self):
    folder = self.workdir / 'evaluation'
    before = (folder / 'studio-validation' / 'summary.json').read_bytes()
    result = self.evaluate('--split=validation', '--flip')
    self.assertEqual(result.returncode, 0, result.stderr)
    after = (folder / 'studio-validation' / 'summary.json').read_bytes()
    self.assertEqual(before, after)
    flipped = folder / 'studio-validation-flip' / 'summary.json'
    self.assertTrue(json.loads(flipped.read_text())['flip'])

  def test_evaluation_is_the_same_on_another_number_of_devices(self):
    folder = self.workdir / 'evaluation'
    csvs = []
    for devices in (1, 4):
      result = python(
        'carvana_jax.evaluate',
        f'--workdir={self.workdir}',
        '--split=validation',
        devices=devices,
      )
      self.assertEqual(result.returncode, 0, result.stderr)
      csvs.append((folder / 'studio-validation' / 'images.csv').read_text())
    self.assertEqual(*csvs)

  def test_wrong_flags_of_evaluate(self):
    for flag, *parts in (
      ('--split=tset', 'tset', 'validation'),
      ('--flip=maybe', 'flip', 'maybe'),
      ('--dataset=cars', 'cars', 'carvana'),
      ('--manual_dir=.', '--manual_dir', '--dataset=carvana'),
    ):
      self.assert_one_line(self.evaluate(flag), *parts)

  def test_report(self):
    result = python('carvana_jax.report', f'--workdir={self.workdir}')
    self.assertEqual(result.returncode, 0, result.stderr)
    text = (self.workdir / 'report.html').read_text()
    for part in ('commit', 'Learning curves', 'studio-test: worst',
                 'studio-test: groups', 'studio-validation: distribution',
                 'studio-test: where the error sits', 'What would come next',
                 'Sample predictions', 'down0_conv0',
                 'ceiling, soft masks'):  # fmt: skip
      self.assertIn(part, text)
    # Six a card, twenty cards, and the sheets before and after both epochs.
    self.assertEqual(text.count('<img '), 123)
    # Nothing comes from outside.
    self.assertNotRegex(text, r'(src|href)="(?!data:)[^#]')
    self.assertNotIn('@import', text)

  def test_report_in_a_browser(self):
    browser.require()
    page = self.root / 'report.html'
    page.write_text(run_report.report(self.workdir))
    for width in (1200, 360):
      found = browser.look(page, width, self.root)
      self.assertEqual(found['problems'], [])
      self.assertEqual((found['pictures'], found['broken']), (123, 0))
      self.assertEqual(
        found['seams'], ['inset(0px 0px 0px 20%)', 'inset(0px 0px 0px 80%)']
      )
      self.assertEqual(found['width'], width)
      self.assertFalse(found['too_wide'])

  def test_report_of_a_run_that_has_just_begun(self):
    workdir = self.root / 'begun'
    workdir.mkdir()
    shutil.copy(self.workdir / 'config.json', workdir)
    text = run_report.report(workdir)
    self.assertIn('Layers', text)
    self.assertNotIn('Learning curves', text)
    lines = (self.workdir / 'metrics.jsonl').read_text()
    (workdir / 'metrics.jsonl').write_text(lines + '{"step": 9')
    self.assertIn('Learning curves', run_report.report(workdir))

  def test_debug_shows_the_traceback(self):
    result = self.evaluate('--manual_dir=.', '--debug')
    self.assertIn('Traceback', result.stderr)


class GoingOnTest(RunTest):
  """The command started again, after each way to end."""

  def train(self, workdir, *overrides):
    return debug(workdir, self.data_dir, *overrides)

  def test_a_finished_run_is_only_evaluated_again(self):
    files = ('metrics.jsonl', 'evaluation/studio-test/images.csv')
    before = [(self.workdir / name).read_bytes() for name in files]
    result = self.train(self.workdir)
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertIn('going on from step', result.stdout)
    after = [(self.workdir / name).read_bytes() for name in files]
    self.assertEqual(before, after)

  def test_goes_on_where_it_stopped(self):
    """Stopped after the first step and in the second epoch, then finished."""
    workdir = self.root / 'parts'
    result = self.train(workdir, '--config.train.max_minutes=1e-9')
    self.assertIn('minutes are over', result.stdout)
    self.assertEqual(jsonl(workdir / 'metrics.jsonl')[-1]['step'], 1)
    result = self.train(workdir)
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertIn('going on from step 1', result.stdout)
    whole, parts = (trained_run.load(path) for path in (self.workdir, workdir))
    chex.assert_trees_all_equal(whole.variables, parts.variables)
    last = [
      jsonl(path / 'metrics.jsonl')[-1] for path in (self.workdir, workdir)
    ]
    for name in ('step', 'epoch', 'train/loss', 'validation/dice'):
      self.assertEqual(last[0][name], last[1][name])

  def test_a_signal_saves_and_ends(self):
    workdir = self.root / 'signal'
    command = [
      sys.executable, '-m', 'carvana_jax.main', '--config=configs/debug.py',
      f'--workdir={workdir}', f'--config.data.data_dir={self.data_dir}',
      '--config.train.epochs=1000',
    ]  # fmt: skip
    # Another number of epochs is another program.
    settings = environment(2)
    settings['XLA_FLAGS'] += f' {QUICK_TO_COMPILE}'
    with subprocess.Popen(
      command,
      cwd=ROOT,
      env=settings,
      stdout=subprocess.PIPE,
      text=True,
    ) as process:
      for line in process.stdout:
        if line.split()[:1] == ['1']:  # the row of the first epoch
          process.send_signal(signal.SIGTERM)
          break
      rest = process.stdout.read()
    self.assertEqual(process.returncode, 128 + signal.SIGTERM)
    self.assertIn('interrupted and saved', rest)
    lines = jsonl(workdir / 'metrics.jsonl')
    self.assertEqual([line['step'] % 45 for line in lines], [0] * len(lines))
    with checkpoint.Checkpoints(workdir) as checkpoints:
      self.assertBetween(
        checkpoints.latest_step(), lines[-1]['step'], lines[-1]['step'] + 44
      )

  def test_a_cut_off_line_of_the_records_is_dropped(self):
    path = self.workdir / 'metrics.jsonl'
    before = path.read_text()
    path.write_text(before + '{"step": 45, "epo')
    result = self.train(self.workdir)
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertEqual(path.read_text(), before)

  def test_another_config_is_refused(self):
    result = self.train(self.workdir, '--config.train.loss=bce')
    self.assert_one_line(result, "train.loss ('bce_dice' there, 'bce' here)")


class FlagsTest(CommandTest):
  """What is wrong is said before anything is made; values: `check_test`."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def main(self, *overrides):
    return debug(self.root / 'run', self.root / 'data', *overrides)

  def test_wrong_flags(self):
    for flag, *parts in (
      ('--config.trian.epochs=3', "no field 'trian'; did you mean 'train'?"),
      ('--config.train.epoch=3', "'train.epoch'; did you mean 'train.epochs'?"),
      ('--config.train.qqq=3', 'no field train.qqq;'),
      ('--config.train.epochs=many', 'config.train.epochs', 'many'),
      ('--config.train.batch_size=3', 'batch_size=3', '2 devices'),
      ('--config.data.dataset=cars', 'cars', 'carvana'),
      ('--config.seed=-1', 'config.seed=-1 must be at least 0'),
      ('--config.model.dropout_levels=(3,)', 'level 3', '0 to 2'),
      ('--wokdir=x', 'wokdir', 'workdir'),
      ('stray', "'stray' is not a flag"),
    ):
      with self.subTest(flag):
        self.assert_one_line(self.main(flag), *parts)
        self.assertEmpty(list(self.root.iterdir()))

  def test_missing_files_and_folders(self):
    self.assert_one_line(python('carvana_jax.main'), '--config is missing')
    result = python('carvana_jax.main', '--config=configs/none.py')
    self.assert_one_line(result, 'configs/none.py')
    result = python('carvana_jax.evaluate', f'--workdir={self.root}/none')
    self.assert_one_line(result, 'none', 'holds no checkpoint')
    (self.root / 'cv' / 'fold_1').mkdir(parents=True)
    result = python(
      'carvana_jax.main',
      '--config=configs/debug.py',
      f'--workdir={self.root}/cv',
    )
    self.assert_one_line(result, 'cv holds a cross-validation', 'cv/fold_1')
    result = self.main(
      '--config.data.dataset=carvana',
      '--config.data.size=128x128',
      '--config.data.full_size=128x128',
      f'--config.data.manual_dir={self.root}/nowhere',
    )
    self.assert_one_line(result, 'nowhere', 'train.zip', 'kaggle')

  def test_help(self):
    for module in ('main', 'evaluate', 'predict', 'submit'):
      result = python(f'carvana_jax.{module}', '--help')
      self.assertIn('--workdir', result.stdout)
