"""Sheets of features: which files, which photos, which channels."""

import pathlib
import subprocess
import sys
import tempfile

import chex
import jax
import numpy as np
from absl.testing import parameterized
from PIL import Image

from carvana_jax import models
from carvana_jax.configs import median_cnn100, tiny_unet128
from carvana_jax.datasets import images, prepare
from carvana_jax.parallel import devices
from carvana_jax.reporting import feature_sheets
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run
from tests.helpers import saved_run

ROOT = pathlib.Path(__file__).parents[2]


def run_of(config):
  """A network whose weights are all one, so that all is car."""
  model = models.build(config.model)
  image = np.zeros((1, *prepare.input_shape(config.data)), np.float32)
  variables = jax.tree.map(
    lambda leaf: np.ones(leaf.shape, leaf.dtype),
    jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False)),
  )
  return trained_run.Run(
    config, model, devices.replicate(variables), step=1, data=''
  )


def noise(seed):
  """A photo, uint8 [64, 96, 3]."""
  values = np.random.default_rng(seed).integers(256, size=(64, 96, 3))
  return values.astype(np.uint8)


class WriteTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.output = self.root / 'new' / 'pictures'

  def add(self, name, seed=0):
    path = self.root / name
    path.write_bytes(images.encode_png(noise(seed)))
    return path

  def tiny_run(self):
    config = tiny_unet128.get_config()
    config.data.size = '32x48'
    config.model.update(levels=2, dropout_levels=())
    return run_of(config)

  def test_keeps_existing_files(self):
    run, photo = self.tiny_run(), self.add('a.png')
    self.output.mkdir(parents=True)
    old = self.output / '08_logits.png'
    old.write_text('precious')
    with self.assertRaisesRegex(UserError, '08_logits.png exists; choose'):
      feature_sheets.write(run, photo, self.output)
    self.assertEqual(list(self.output.iterdir()), [old])
    self.assertEqual(old.read_text(), 'precious')

  def test_pictures_among_the_photos(self):
    run, photo = self.tiny_run(), self.add('a.png')
    link = self.root / 'link'
    link.symlink_to(self.root)
    with self.assertRaisesRegex(UserError, 'link holds the photo, and pict'):
      feature_sheets.write(run, photo, link)

  def test_photos_that_can_not_be_read(self):
    photo = self.root / 'a.png'
    photo.write_text('no image')
    with self.assertRaisesRegex(UserError, 'a.png is no JPG'):
      feature_sheets.write(self.tiny_run(), photo, self.output)
    photo.unlink()
    with self.assertRaisesRegex(UserError, 'a.png is no file'):
      feature_sheets.write(self.tiny_run(), photo, self.output)
    self.assertFalse(self.output.exists())

  @parameterized.parameters(np.nan, np.inf)
  def test_a_network_that_diverged(self, value):
    run, photo = self.tiny_run(), self.add('a.png')
    kernel = run.variables['params']['logits']['kernel']
    run.variables['params']['logits']['kernel'] = kernel * value
    with self.assertRaisesRegex(UserError, 'step 1 .* layer logits .* lower'):
      feature_sheets.write(run, photo, self.output)
    self.assertFalse(self.output.exists())

  def test_views_are_beside_the_photo(self):
    config = median_cnn100.get_config()
    photos = [self.add(f'a_{i:02}.png', i) for i in range(3)]
    alone = self.add('b_01.png')
    shown = feature_sheets._input(photos[0], config.data)
    self.assertEqual(shown.shape, (100, 100, 6))
    self.assertGreater(shown[..., 3:].max(), 0)  # as the views differ
    self.assertEqual(
      feature_sheets._input(alone, config.data)[..., 3:].max(), 0
    )
    paths = feature_sheets.write(run_of(config), photos[0], self.output)
    self.assertEqual(
      [path.stem for path in paths],
      ['overview', 'saliency', '00_conv0', '01_conv1', '02_logits'],
    )
    other = self.root / 'notes.txt'
    other.write_text('none')
    with self.assertRaisesRegex(UserError, 'notes.txt holds no photo'):
      feature_sheets.write(run_of(config), other, self.root / 'other')

  def test_of_many_channels_those_that_vary_most(self):
    values = np.random.default_rng(0).normal(size=(9, 9, 100))
    calm = np.arange(36) * 2 + 1
    values[..., calm] = 1e-3 * values[..., calm] + 5
    expected = np.setdiff1d(np.arange(100), calm)
    chex.assert_trees_all_equal(feature_sheets._most_varied(values), expected)
    found = feature_sheets._most_varied(values[..., :3])
    chex.assert_trees_all_equal(found, np.arange(3))


class CommandTest(chex.TestCase):
  def test_a_sheet_for_every_layer(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    saved_run.save(root)
    photo, output = root / 'a.png', root / 'new' / 'pictures'
    photo.write_bytes(images.encode_png(noise(0)))
    command = [
      sys.executable, '-m', 'carvana_jax.features', f'--workdir={root}',
      f'--image={photo}', f'--output={output}',
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(done.stdout, f'13 pictures are in {output}\n')
    levels = ('down0', 'down1', 'down2', 'up1', 'up0')
    layers = [f'{level}_norm{i}' for level in levels for i in range(2)]
    files = [f'{i:02}_{x}.png' for i, x in enumerate([*layers, 'logits'])]
    found = {}
    for path in output.iterdir():
      with Image.open(path) as picture:
        picture.load()
        found[path.name] = picture.height, picture.width
    self.assertEqual(sorted(found), [*files, 'overview.png', 'saliency.png'])
    for name, (height, width) in found.items():
      self.assertBetween(width, 800, 1700, name)
      self.assertBetween(height, 500, 2000, name)
