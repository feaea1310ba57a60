"""A multi-view run as the benchmark trains it, and the table made of it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

import chex
import numpy as np
from PIL import Image

from benchmarks import systems
from carvana_jax.datasets import images, prepare
from carvana_jax.training import trained_run
from tests.helpers import commands

FLAGS = {
  'dataset': 'studio',
  'manual_dir': '',
  'systems': ['median_cnn100'],
  'minutes': 0,
  'epochs': 1,
  'size': '64x96',
  'full_size': '64x96',  # the studio's own would take a minute to render
  'encoder_weights': 'random',
}


def benchmark(root, **changed):
  """Runs the command, on two devices."""
  values = FLAGS | {'data_dir': root / 'data', 'output': root} | changed
  values['systems'] = ','.join(values['systems'])
  return subprocess.run(
    [sys.executable, '-m', 'benchmarks.systems',
     *(f'--{name}={value}' for name, value in values.items())],
    cwd=systems.ROOT,
    env=os.environ
    | {'XLA_FLAGS': '--xla_force_host_platform_device_count=2'},
    capture_output=True, text=True, check=False,
  )  # fmt: skip


class SystemsTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.root = pathlib.Path(folder.name)
    cls.workdir = cls.root / 'median_cnn100'
    # Crops are prepared in the folder of the whole photos.
    shutil.copytree(commands.debug_run() / 'data', cls.root / 'data')
    cls.result = benchmark(cls.root)
    assert cls.result.returncode == 0, cls.result.stderr

  def test_writes_what_it_prints(self):
    record = json.loads((self.root / 'systems.json').read_text())
    self.assertEqual(record['budget']['epochs'], 1)
    (row,) = record['systems']
    table = (self.root / 'systems.md').read_text()
    self.assertEqual(table, systems.markdown([row]))
    self.assertIn(systems.plain([row]), self.result.stdout)

  def test_another_budget_is_refused(self):
    for changed, part in (
      ({'epochs': 2}, 'choose another --output'),
      ({'minutes': 1}, 'either --minutes or --epochs'),
      ({'systems': ['studio']}, '--systems=studio is unknown'),
    ):
      result = benchmark(self.root, **changed)
      self.assertEqual(result.returncode, 2)
      self.assertLen(result.stderr.strip().splitlines(), 1)
      self.assertIn(part, result.stderr)

  def test_table(self):
    row = systems.measure('median_cnn100', self.workdir)
    self.assertEqual(row['parameters'], 23_249)
    self.assertEqual((row['size'], row['full_size']), ('64x96', '64x96'))
    self.assertEqual((row['epochs'], row['images']), (1, 96))
    # A mask that is all car scores less.
    self.assertBetween(row['Dice'], 0.6, row['ceiling'])
    self.assertBetween(row['IoU'], 0.4, row['Dice'])
    self.assertBetween(row['Dice*'], 0.6, 1)
    self.assertBetween(row['accuracy'], 0.8, 1)
    self.assertBetween(row['ceiling'], row['ceiling_hard'], 1)
    self.assertGreater(row['ceiling_hard'], 0.95)
    rows = [row, row | {'system': 'tiny_unet128', 'parameters': 34_540_737}]
    lines = systems.plain(rows).splitlines()
    self.assertEqual({len(line) for line in lines}, {len(lines[0])})
    self.assertLess(len(lines[0]), 81)
    self.assertIn('34,540,737', lines[2])
    text = systems.markdown(rows)
    self.assertIn('| median_cnn100 | 64x96 | 23,249 | 1.0 |', text)
    self.assertIn('96 images of 6 cars', text)
    counts = {line.count('|') for line in text.splitlines()[:4]}
    self.assertLen(counts, 1)

  def test_scale_of_the_input_comes_from_the_training_data(self):
    run = trained_run.load(self.workdir)
    data = prepare.for_network(run.config.data).as_data_source('train')
    pixels = np.stack(
      [np.concatenate([x['image'], x['difference']], -1) for x in data]
    )
    scale = run.variables['input']
    chex.assert_trees_all_close(
      dict(scale),
      {
        'mean': np.float32(pixels.mean((0, 1, 2)) / 255),
        'std': np.float32(pixels.std((0, 1, 2)) / 255),
      },
      rtol=1e-4,
    )

  def test_a_folder_of_new_cars_is_predicted(self):
    """From one view of a car on; other cars may have another size."""
    folder = self.root / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    sizes = {'0_01': (64, 96), '0_02': (64, 96), '1_07': (80, 100)}
    for name, size in sizes.items():
      photo = rng.integers(0, 255, (*size, 3), np.uint8)
      (folder / f'{name}.png').write_bytes(images.encode_png(photo))
    result = subprocess.run(
      [sys.executable, '-m', 'carvana_jax.predict',
       f'--workdir={self.workdir}', f'--input={folder}',
       f'--output={self.root / "masks"}'],
      cwd=systems.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertIn('3 masks are in', result.stdout)
    for name, (height, width) in sizes.items():
      with Image.open(self.root / 'masks' / f'{name}_mask.png') as mask:
        self.assertEqual(mask.size, (width, height))
        self.assertEqual(mask.mode, '1')

  def test_command_of_a_budget_in_minutes(self):
    args = types.SimpleNamespace(data_dir='data', **FLAGS)
    args.minutes, args.size = 2.5, ''
    words = systems.command('vgg19_unet512', self.workdir, args)
    self.assertIn('--config.train.max_minutes=2.5', words)
    args.minutes = args.epochs = 0
    as_published = systems.command('vgg19_unet512', self.workdir, args)
    self.assertFalse(any('epochs' in word for word in as_published))
    self.assertIn('--config.train.patience=0', words)
    self.assertIn('--config.model.encoder_weights=random', words)
    self.assertFalse(any('data.size' in word for word in words))
