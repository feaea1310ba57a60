"""Data that grow by links, and the tables of what that costs."""

import collections
import contextlib
import io
import pathlib
import sys
import tempfile
import types
from unittest import mock

import chex

from benchmarks import scale, workers
from carvana_jax.datasets import spec
from carvana_jax.system.errors import UserError
from tests.benchmarks.step_test import stand_in


class GrowTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.source = self.root / 'source'
    for kind, ending in (('train', '.jpg'), ('train_masks', '_mask.gif')):
      (self.source / kind).mkdir(parents=True)
      for car in range(7):
        for view in (1, 2):
          name = spec.photo_name(f'{car:012x}', view) + ending
          (self.source / kind / name).write_text(f'{car} {view} {kind}')

  def test_splits_stay_in_proportion(self):
    for times in (1, 3):
      folder = self.root / f'{times}'
      self.assertEqual(scale.grow(self.source, folder, times), 12 * times)
      splits = collections.Counter(
        spec.split_of(photo.name[:12]) for photo in folder.glob('train/*.jpg')
      )
      self.assertEqual(
        splits,
        {'train': 8 * times, 'validation': 2 * times, 'test': 2 * times},
      )
      self.assertLen(list(folder.glob('train_masks/*_mask.gif')), 12 * times)

  def test_photos_keep_their_masks(self):
    scale.grow(self.source, self.root / 'a', 2)
    for photo in (self.root / 'a' / 'train').glob('*.jpg'):
      mask = self.root / 'a' / 'train_masks' / f'{photo.stem}_mask.gif'
      self.assertEqual(photo.read_text() + '_masks', mask.read_text())

  def test_too_few_cars(self):
    for file in self.source.glob('train/*[2-6]_*.jpg'):
      file.unlink()
    with self.assertRaisesRegex(UserError, '2 cars, but 6 are needed'):
      scale.grow(self.source, self.root / 'a', 1)

  def test_table_of_the_data(self):
    seconds = iter([99, 99, 10, 5, 13.6, 5])
    args = types.SimpleNamespace(
      manual_dir=str(self.source), times=['1', '3'], name='studio'
    )
    with (
      mock.patch.object(
        scale, 'usage', lambda *_: scale.Usage(next(seconds), 512)
      ),
      contextlib.redirect_stderr(io.StringIO()),
    ):
      rows = scale.over_data(args, self.root / 'b').splitlines()
    # 24 photos more take 3.6 s more.
    self.assertEqual(rows[3].split(), ['main', '36', '13.6', '150.0', '512'])
    self.assertEqual(rows[4].split(), ['submit', '36', '5.0', '0.0', '512'])

  def test_usage_is_of_the_command_alone(self):
    code = "x = b'1' * 200_000_000; import time; time.sleep(0.2)"
    log = self.root / 'log'
    used = scale.usage([sys.executable, '-c', code], log)
    self.assertBetween(used.megabytes, 190, 300)
    self.assertGreater(used.seconds, 0.2)
    with self.assertRaisesRegex(UserError, 'failed: ZeroDivisionError'):
      scale.usage([sys.executable, '-c', '1 / 0'], log)
    self.assertIn('ZeroDivisionError', log.read_text())


class DevicesTest(chex.TestCase):
  def test_table_of_stand_ins(self):
    args = types.SimpleNamespace(name='x', batch=8, rounds=2, seconds=1)
    commands = {'1 devices': stand_in(0.5)}
    with mock.patch.object(scale, 'placements', lambda *_: commands):
      row = scale.over_devices(args).splitlines()[1]
    self.assertEqual(row.split()[2:6], ['500.0', '16.0', '500.00', '100.0'])

  def test_two_processes_take_steps_together(self):
    placed = scale.placements('tiny_unet128', 2)['2 processes']
    with workers.started({'pair': placed}) as asked:
      for task in ('step', 'collectives'):
        self.assertGreater(asked['pair'].seconds(task, 1), 0)
