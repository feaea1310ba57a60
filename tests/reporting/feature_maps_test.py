"""Layers' outputs and saliency, compared with what is computed by hand."""

import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from flax import linen as nn
from scipy import ndimage

from carvana_jax import models
from carvana_jax.models import layer_table
from carvana_jax.models.norm import BatchNorm
from carvana_jax.reporting import feature_maps


class Tiny(nn.Module):
  """A convolution of two channels, a norm, ReLU and their difference."""

  @nn.compact
  def __call__(self, x, *, train):
    x = nn.Conv(2, (1, 1), name='conv')(x)
    x = nn.relu(
      BatchNorm(train, 'batch', 0.9, 1e-5, name='norm')(x, jnp.ones(1))
    )
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
    self.assertEqual(feature_maps.layers_to_show(layers), ['norm', 'logits'])

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
    found = feature_maps.unsure_pixels(probability, probability > 0.5)
    expected = [[False, False, True, True, True, False, False]]
    chex.assert_trees_all_equal(found, np.array(expected))

  def test_else_the_border_of_the_mask(self):
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:5] = True
    expected = mask.copy()
    expected[2, 3] = False
    found = feature_maps.unsure_pixels(mask * 1.0, mask)
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
