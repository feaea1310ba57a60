"""Layers' outputs and saliency, compared with what is computed by hand."""

import importlib
import pathlib
import subprocess
import sys
import tempfile

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from flax import linen as nn
from PIL import Image
from scipy import ndimage

from carvana_jax import models
from carvana_jax.configs import median_cnn100, tiny_unet128
from carvana_jax.datasets import images, prepare
from carvana_jax.models import layer_table
from carvana_jax.models.norm import BatchNorm
from carvana_jax.parallel import devices
from carvana_jax.reporting import feature_maps
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run
from tests.helpers import saved_run


class Tiny(nn.Module):
  """A convolution of two channels, a norm, ReLU and their difference."""

  @nn.compact
  def __call__(self, x, *, train):
    x = nn.Conv(2, (1, 1), name='conv')(x)
    x = nn.relu(BatchNorm(train, 'batch', name='norm')(x, jnp.ones(1)))
    return nn.Conv(1, (1, 1), use_bias=False, name='logits')(x)[..., 0]


class Linear(nn.Module):
  """One 3x3 convolution."""

  @nn.compact
  def __call__(self, x, *, train):
    return nn.Conv(1, (3, 3), name='logits')(x)[..., 0]


def tiny_variables():
  rows = lambda *values: np.array(values, np.float32)
  return {
    'params': {
      'conv': {
        'kernel': rows((1, 0), (0, 2), (0, 0)).reshape(1, 1, 3, 2),
        'bias': rows(0, -1),
      },
      'norm': {'scale': rows(4, 1), 'bias': rows(0, 0.5)},
      'logits': {'kernel': rows(1, -1).reshape(1, 1, 2, 1)},
    },
    'batch_stats': {
      'norm': {'mean': rows(0.5, 0), 'var': rows(4 - 1e-5, 1 - 1e-5)}
    },
  }


def random_values(random, shape):
  """A kernel that keeps activations' size, or positive values, as a variance.

  Faster than initialisers are compiled.
  """
  if len(shape) == 1:
    return random.random(shape, np.float32) + np.float32(0.1)
  values = random.standard_normal(shape, np.float32)
  return values * np.float32(np.sqrt(2 / np.prod(shape[:-1])))


class CaptureTest(chex.TestCase):
  def test_by_hand(self):
    image = np.random.default_rng(0).random((3, 5, 3), np.float32)
    names = ('conv', 'norm', 'logits')
    found, logits = feature_maps.capture(Tiny(), tiny_variables(), image, names)
    conv = np.stack([image[..., 0], 2 * image[..., 1] - 1], -1)
    norm = np.stack([2 * conv[..., 0] - 1, conv[..., 1] + 0.5], -1)
    active = np.maximum(norm, 0)
    expected = {
      'conv': conv, 'norm': norm, 'logits': active[..., :1] - active[..., 1:]
    }  # fmt: skip
    self.assertEqual(tuple(found), names)
    chex.assert_trees_all_close(dict(found), expected, atol=1e-6)
    chex.assert_trees_all_equal(logits, found['logits'][..., 0])

  def test_a_norm_stands_for_the_layer_before_it(self):
    layers = layer_table.layers(Tiny(), (3, 5, 3))
    self.assertEqual(feature_maps.stages(layers), ['norm', 'logits'])

  @parameterized.parameters(
    ('studio', (20, 24)),
    ('tiny_unet128', (16, 24)),
    ('cnn256', (8, 12)),
    ('median_cnn100', (9, 9)),
    ('vgg19_unet512', (16, 32)),
  )
  def test_every_layer_of_a_config(self, name, size):
    config = importlib.import_module(f'carvana_jax.configs.{name}').get_config()
    model = models.build(config.model)
    shape = (*size, 6 if config.data.multiview else 3)
    random = np.random.default_rng(0)
    image = random.random(shape, np.float32)
    init = lambda: model.init(jax.random.key(0), image[None], train=False)
    variables = jax.tree.map(
      lambda leaf: random_values(random, leaf.shape), jax.eval_shape(init)
    )
    layers = layer_table.layers(model, shape)
    found, logits = feature_maps.capture(
      model, variables, image, [layer.name for layer in layers]
    )
    self.assertEqual(
      [(name, output.shape) for name, output in found.items()],
      [(layer.name, layer.output) for layer in layers],
    )
    # Linen's own way to capture, which doesn't tell the order of the layers.
    expected, rest = jax.jit(
      lambda variables, x: model.apply(
        variables, x, train=False, capture_intermediates=True, mutable=True
      )
    )(variables, image[None])
    chex.assert_trees_all_close(logits, expected[0], atol=1e-4, rtol=1e-4)
    for name, output in found.items():
      own = rest['intermediates']
      for part in name.split('/'):
        own = own[part]
      chex.assert_trees_all_close(
        output, own['__call__'][0][0], atol=1e-4, rtol=1e-4
      )


class BorderTest(chex.TestCase):
  def test_where_the_network_is_unsure(self):
    probability = np.array([[0.0, 0.1, 0.11, 0.5, 0.89, 0.9, 1.0]])
    found = feature_maps.doubtful(probability, probability > 0.5)
    expected = [[False, False, True, True, True, False, False]]
    chex.assert_trees_all_equal(found, np.array(expected))

  def test_else_the_border_of_the_mask(self):
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:5] = True
    expected = mask.copy()
    expected[2, 3] = False
    found = feature_maps.doubtful(mask * 1.0, mask)
    chex.assert_trees_all_equal(found, expected)


class SaliencyTest(chex.TestCase):
  def test_of_a_linear_network_is_its_kernel_around_the_border(self):
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, 3, 3, 1)).astype(np.float32)
    params = {'logits': {'kernel': kernel, 'bias': np.ones(1, np.float32)}}
    image = random.random((9, 12, 3), np.float32)
    border = np.zeros((9, 12), bool)
    border[2, 3:8] = border[0, 11] = True
    found = feature_maps.saliency(Linear(), {'params': params}, image, border)
    expected = np.zeros((11, 14, 3))  # with a frame of one pixel
    for y, x in np.argwhere(border):
      expected[y : y + 3, x : x + 3] += kernel[..., 0]
    expected = np.abs(expected[1:-1, 1:-1])
    chex.assert_trees_all_close(found, expected.astype(np.float32), atol=1e-5)
    near = ndimage.binary_dilation(border, np.ones((3, 3)))
    chex.assert_trees_all_equal(found.max(-1) > 0, near)


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


class DrawTest(chex.TestCase):
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
      feature_maps.draw(run, photo, self.output)
    self.assertEqual(list(self.output.iterdir()), [old])
    self.assertEqual(old.read_text(), 'precious')

  def test_photos_that_can_not_be_read(self):
    photo = self.root / 'a.png'
    photo.write_text('no image')
    with self.assertRaisesRegex(UserError, 'a.png is no JPG'):
      feature_maps.draw(self.tiny_run(), photo, self.output)
    photo.unlink()
    with self.assertRaisesRegex(UserError, 'a.png is no file'):
      feature_maps.draw(self.tiny_run(), photo, self.output)
    self.assertFalse(self.output.exists())

  @parameterized.parameters(np.nan, np.inf)
  def test_a_network_that_diverged(self, value):
    run, photo = self.tiny_run(), self.add('a.png')
    kernel = run.variables['params']['logits']['kernel']
    run.variables['params']['logits']['kernel'] = kernel * value
    with self.assertRaisesRegex(UserError, 'step 1 .* layer logits .* lower'):
      feature_maps.draw(run, photo, self.output)
    self.assertFalse(self.output.exists())

  def test_views_are_beside_the_photo(self):
    config = median_cnn100.get_config()
    photos = [self.add(f'a_{i:02}.png', i) for i in range(3)]
    alone = self.add('b_01.png')
    shown = feature_maps._input(photos[0], config.data)
    self.assertEqual(shown.shape, (100, 100, 6))
    self.assertGreater(shown[..., 3:].max(), 0)  # as the views differ
    self.assertEqual(feature_maps._input(alone, config.data)[..., 3:].max(), 0)
    paths = feature_maps.draw(run_of(config), photos[0], self.output)
    self.assertEqual(
      [path.stem for path in paths],
      ['overview', 'saliency', '00_conv0', '01_conv1', '02_logits'],
    )
    other = photos[0].rename(self.root / 'a_00.bmp')
    with self.assertRaisesRegex(UserError, 'a_00.bmp holds no photo'):
      feature_maps.draw(run_of(config), other, self.root / 'other')

  def test_of_many_channels_those_that_vary_most(self):
    values = np.random.default_rng(0).normal(size=(9, 9, 100))
    calm = np.arange(36) * 2 + 1
    values[..., calm] = 1e-3 * values[..., calm] + 5
    expected = np.setdiff1d(np.arange(100), calm)
    chex.assert_trees_all_equal(feature_maps._most_varied(values), expected)
    found = feature_maps._most_varied(values[..., :3])
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
