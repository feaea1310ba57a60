"""A second network, trained for a moment and used by all commands."""

import json
import pathlib
import shutil
import tempfile
from unittest import mock

import chex
import numpy as np
from ml_collections import ConfigDict

from carvana_jax.configs import debug, fine
from carvana_jax.datasets import folds, images, labels, prepare
from carvana_jax.evaluation import scoring
from carvana_jax.inference import networks, second_network
from carvana_jax.system.errors import UserError
from carvana_jax.training import loop, trained_run
from carvana_jax.workflows import refinement
from tests.helpers import commands, saved_run

# configs/fine.py in seconds, with the empty studio.
_SETTINGS = {
  'data.empty_studio': True,
  'data.size': '32x32',
  'augment.hide_studio': 0.2,
  'model.levels': 2,
  'model.widths': (8, 16),
  'train.epochs': 1,
  'train.batch_size': 128,
}


def summary(workdir, name):
  path = workdir / 'evaluation' / name / 'summary.json'
  return json.loads(path.read_text())


class RefineTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    given = commands.debug_run()
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    shutil.copytree(given / 'run', cls.root / 'run')
    shutil.copytree(given / 'data', cls.root / 'data')
    cls.result = cls.command(
      'refine',
      '--config=configs/fine.py',
      *(f'--config.{field}={value}' for field, value in _SETTINGS.items()),
    )

  @classmethod
  def command(cls, verb, *flags):
    workdir = f'--workdir={cls.root / "run"}'
    return commands.python(f'carvana_jax.{verb}', workdir, *flags)

  def test_masks_get_better(self):
    """As the first network was trained for seconds only."""
    self.assertEqual(self.result.returncode, 0, self.result.stderr)
    for split in ('validation', 'test'):
      first = summary(self.root / 'run', f'studio-{split}')
      both = summary(self.root / 'run', f'studio-{split}-fine')
      self.assertGreater(both['dice_mean'], first['dice_mean'] + 0.01)
      self.assertNotIn('fine_step', first)
      self.assertGreater(both['fine_step'], 0)
      self.assertEqual(both['step'], first['step'])

  def test_the_same_command_again_trains_no_more(self):
    before = (self.root / 'run/fine/metrics.jsonl').read_bytes()
    result = commands.python(*self.result.args[2:])
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertEqual(
      (self.root / 'run/fine/metrics.jsonl').read_bytes(), before
    )

  def test_predictions_are_those_that_were_scored(self):
    photos = self.root / 'photos'
    photos.mkdir()
    run = second_network.with_second_network(
      self.root / 'run', trained_run.load(self.root / 'run')
    )
    run.config.data.data_dir = str(self.root / 'data')
    builder = prepare.for_scoring(run.config.data)
    part = folds.select(builder, 'test')
    part = part._replace(positions=part.positions[:3])
    rows = builder.as_data_source('test')
    for position in part.positions:
      row = rows[int(position)]
      name = row['filename'].decode().replace('.jpg', '.png')
      (photos / name).write_bytes(images.encode_png(row['image']))
    masks = {}
    for flags in ([], ['--fine']):
      output = self.root / f'masks{len(flags)}'
      result = self.command(
        'predict', f'--input={photos}', f'--output={output}', *flags
      )
      self.assertEqual(result.returncode, 0, result.stderr)
      masks[len(flags)] = {
        path.name: images.decode_mask(path.read_bytes()) > 0
        for path in output.glob('*_mask.png')
      }
    scored = scoring.map_predictions(
      lambda truth, prediction: (
        truth.label['filename'], (prediction.levels() >= 128).tolist()
      ),
      [run], builder, part, 'test',
    )  # fmt: skip
    for name, mask in scored:
      name = name.replace('.jpg', '_mask.png')
      np.testing.assert_array_equal(masks[1][name], mask)
      self.assertTrue((masks[0][name] != mask).any())

  def test_another_first_network_or_the_second_one_alone(self):
    run = trained_run.load(self.root / 'run')
    given = fine.get_config()
    given.update_from_flattened_dict(_SETTINGS)
    config = refinement.config_of(run, given, self.root / 'run/coarse')
    run.step += 1  # as if it had been trained on
    with self.assertRaisesRegex(UserError, 'fine is for another network'):
      refinement.refine(run, config, self.root / 'run')
    with self.assertRaisesRegex(UserError, 'fine is for another network'):
      second_network.with_second_network(self.root / 'run', run)
    coarse = second_network.probabilities_folder(self.root / 'run')
    away = coarse.rename(self.root / 'coarse')
    with self.assertRaisesRegex(UserError, 'fine is for another network'):
      refinement.refine(run, config, self.root / 'run')
    away.rename(coarse)
    # As of a run by older code.
    run = trained_run.load(self.root / 'run')
    record = self.root / 'run/fine/first.json'
    away = record.rename(self.root / 'first.json')
    with self.assertRaisesRegex(UserError, 'fine does not say in first.json'):
      second_network.with_second_network(self.root / 'run', run)
    away.rename(record)
    with self.assertRaisesRegex(UserError, 'alone; give --workdir=.*/run and'):
      trained_run.load(self.root / 'run/fine')

  def test_probabilities_of_others(self):
    run = trained_run.load(self.root / 'run')
    workdir, given = self.root / 'again', self.root / 'given'
    given.mkdir()
    asked = fine.get_config()
    asked.data.size = '32x32'
    config = refinement.config_of(
      run, asked, second_network.given_folder(workdir)
    )
    config.data.data_dir = str(self.root / 'data')
    own = second_network.probabilities_folder(workdir)
    shutil.copytree(self.root / 'run/coarse', own)
    builder = prepare.for_scoring(config.data)
    learned, others = [
      [f'{pathlib.Path(x).stem}_probability.png' for x in found.filename]
      for found in (
        labels.of(builder, ['train']),
        labels.of(builder, ['validation', 'test']),
      )
    ]
    for name in learned:
      halved = images.decode_mask((own / name).read_bytes()) // 2
      (given / name).write_bytes(images.encode_png(halved))
    away = (given / learned[-1]).rename(self.root / learned[-1])
    with self.assertRaisesRegex(
      UserError, f'given lacks {away.name} and so on, 1 of the {len(learned)} '
    ):
      refinement.refine(run, config, workdir, given)
    away.rename(given / away.name)
    with mock.patch.object(loop, 'train') as train:
      refinement.refine(run, config, workdir, given)
    train.assert_called_once_with(config, workdir / 'fine')
    mixed = pathlib.Path(config.data.coarse)
    for name in learned:
      self.assertEqual((mixed / name).read_bytes(), (given / name).read_bytes())
    for name in others:
      self.assertEqual((mixed / name).read_bytes(), (own / name).read_bytes())
    self.assertLen(list(mixed.iterdir()), len(learned) + len(others))

  def test_probabilities_of_another_run(self):
    run = trained_run.load(self.root / 'run')
    workdir, other = self.root / 'learner', self.root / 'other'
    saved_run.save(other)
    own = second_network.probabilities_folder(workdir)
    shutil.copytree(self.root / 'run/coarse', own)
    asked = fine.get_config()
    asked.data.size = '32x32'
    config = refinement.config_of(
      run, asked, second_network.given_folder(workdir)
    )
    config.data.data_dir = str(self.root / 'data')
    with mock.patch.object(loop, 'train') as train:
      refinement.refine(run, config, workdir, other)
    train.assert_called_once_with(config, workdir / 'fine')
    learned = labels.of(prepare.for_scoring(config.data), ['train']).filename
    self.assertNotEmpty(learned)
    for photo in learned:
      name = f'{pathlib.Path(photo).stem}_probability.png'
      mixed = (pathlib.Path(config.data.coarse) / name).read_bytes()
      made = second_network.probabilities_folder(other) / name
      self.assertEqual(mixed, made.read_bytes())
      self.assertNotEqual(mixed, (own / name).read_bytes())

  def test_the_report_shows_both(self):
    result = self.command('report')
    self.assertEqual(result.returncode, 0, result.stderr)
    page = (self.root / 'run' / 'report.html').read_text()
    self.assertIn('studio-test-fine: where the error sits', page)
    self.assertIn('step of the second network, on tiles', page)

  def test_tuned_is_that_of_both(self):
    nets = networks.load([str(self.root / 'run')], tuned=True, fine=True)
    found = summary(self.root / 'run', 'studio-validation-fine')
    self.assertEqual(nets.masking.threshold, found['best_threshold'])
    alone = networks.load([str(self.root / 'run')], tuned=True)
    self.assertNotEqual(nets.identity(), alone.identity())


class RefusedTest(chex.TestCase):
  def test_without_a_second_network(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    saved_run.save(folder)
    with self.assertRaisesRegex(UserError, 'no second network; .*refine'):
      second_network.with_second_network(folder, trained_run.load(folder))

  def test_before_any_work(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    saved_run.save(folder)
    run = trained_run.load(folder)
    config = refinement.config_of(
      run, fine.get_config(), second_network.probabilities_folder(folder)
    )
    config.train.loss = 'bec'
    with self.assertRaisesRegex(UserError, "train.loss='bec' is unknown"):
      refinement.refine(run, config, folder)
    self.assertFalse(second_network.probabilities_folder(folder).exists())
    self.assertFalse(second_network.folder_of(folder).exists())

  def test_data_are_the_first_ones(self):
    config = debug.get_config()
    config.data.data_dir, config.data.manual_dir = 'here', 'photos'
    run = trained_run.Run(config, None, {}, 1, '')
    given = fine.get_config()
    of = lambda: refinement.config_of(run, given, pathlib.Path('coarse')).data
    self.assertEqual(
      of(),
      ConfigDict(
        config.data.to_dict() | {'size': '128x128', 'coarse': 'coarse'}
      ),
    )
    given.data.data_dir = given.data.manual_dir = 'moved'
    self.assertEqual((of().data_dir, of().manual_dir), ('moved', 'moved'))
    given.data.empty_studio = True
    self.assertTrue(of().empty_studio)
    given.data.validation_folds = (2,)
    with self.assertRaisesRegex(
      UserError, r"validation_folds=\(2,\) is not the first run's, \(1,\)"
    ):
      of()

  def test_first_networks_that_can_have_none(self):
    config = debug.get_config()
    for field, value in (('multiview', True), ('coarse', 'tiles')):
      other = config.copy_and_resolve_references()
      other.data[field] = value
      run = trained_run.Run(other, None, {}, 1, '')
      with self.assertRaisesRegex(UserError, 'can have no second one'):
        refinement.config_of(run, fine.get_config(), pathlib.Path('coarse'))
