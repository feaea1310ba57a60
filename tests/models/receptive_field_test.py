"""Receptive fields against single pixels sent through networks, and by hand."""

import importlib
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax import models
from carvana_jax.datasets import prepare
from carvana_jax.models import cnn, layer_table, receptive_field, unet, vgg_unet
from carvana_jax.models.receptive_field import Step

COLUMNS = 16


def fields_of(name):
  """{layer: side} of the network of a config."""
  config = importlib.import_module(f'carvana_jax.configs.{name}').get_config()
  model, shape = models.build(config.model), prepare.input_shape(config.data)
  return {x.name: x.field for x in layer_table.layers(model, shape)}


def positive(path, leaf):
  """Kernels that let every pixel through; norms and biases that don't act."""
  name = path[-1].key
  if name == 'kernel':
    return jnp.full(leaf.shape, 1 / (leaf.size / leaf.shape[-1]))
  return jnp.full(leaf.shape, float(name in ('scale', 'var')))


def measured(model, rows):
  """{layer: mean side}, from pictures that are black but for one row.

  With positive weights a pixel of a layer depends on those rows that reach it.
  """
  pictures = np.zeros((rows, rows, COLUMNS, 3), np.float32)
  pictures[np.arange(rows), np.arange(rows)] = 1
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), jnp.asarray(pictures), train=False)
  )
  variables = jax.tree_util.tree_map_with_path(positive, shapes)

  def forward(pictures):
    return model.apply(
      variables, pictures, train=False, capture_intermediates=True,
      mutable=['intermediates'],
    )[1]  # fmt: skip

  # Less optimized programs compile in half of the time.
  options = {'xla_backend_optimization_level': 0}
  outputs = jax.jit(forward, compiler_options=options)(pictures)
  found = {}
  for layer in layer_table.layers(model, pictures.shape[1:]):
    output = outputs['intermediates']
    for part in layer.name.split('/'):
      output = output[part]
    reached = np.asarray(output['__call__'][0]).any((2, 3))  # [row, output row]
    first = reached.argmax(0)
    side = rows - reached[::-1].argmax(0) - first
    # The pattern of sides repeats with the coarsest jump; away from the border.
    period = side.size * 16 // rows
    middle = (side.size - period) // 2
    found[layer.name] = side[middle : middle + period].mean()
  return found


class ReceptiveFieldTest(chex.TestCase):
  @parameterized.parameters(
    {'upsampling': 'nearest_conv', 'norm': 'none', 'head_width': 1},
    {'upsampling': 'projected', 'patch': 2, 'encoder_convs': 1},
    {'upsampling': 'transposed', 'decoder_convs': 1, 'levels': 4},
  )
  def test_unet(self, **fields):
    self.check(unet.UNet(**{'levels': 3, 'first_width': 1} | fields), 176)

  def test_cnn_of_even_kernels(self):
    model = cnn.CNN((1, 1, 1), (2, 10, 4), 3, standardize=False)
    self.check(model, 48)

  def test_vgg(self):
    blocks = tuple((convs, 1) for convs, _ in vgg_unet.BLOCKS)
    decoder = tuple((1, stride) for _, stride in vgg_unet.DECODER)
    with (
      mock.patch.object(vgg_unet, 'BLOCKS', blocks),
      mock.patch.object(vgg_unet, 'DECODER', decoder),
    ):
      self.check(vgg_unet.VGGUNet(), 304)

  def check(self, model, rows):
    layers = layer_table.layers(model, (rows, COLUMNS, 3))
    expected = {layer.name: layer.field for layer in layers}
    self.assertLess(max(expected.values()), rows - 31)
    self.assertEqual(measured(model, rows), expected)

  def test_by_hand(self):
    self.assertEqual(fields_of('cnn256')['logits'], 1 + 2 + 2 + 2)
    self.assertEqual(fields_of('median_cnn100')['logits'], 1 + 9 + 4 + 4)
    found = fields_of('tiny_unet128')
    # Pooling adds j, which doubles; two convolutions add 2 j each.
    down = 5, 5 + 1 + 2 * 4, 14 + 2 + 4 * 4, 32 + 4 + 8 * 4
    for level, side in enumerate(down):
      self.assertEqual(found[f'down{level}_conv1'], side)
    # A convolution of 2 adds j, and j is halved before it.
    up = 68 + 4 + 16, 88 + 2 + 8, 98 + 1 + 4
    for level, side in zip((2, 1, 0), up, strict=True):
      self.assertEqual(found[f'up{level}_conv1'], side)
    self.assertEqual(found['logits'], 103 + 2)

  def test_vgg19_is_that_of_the_encoder_and_its_decoder(self):
    found = fields_of('vgg19_unet512')
    # 5, 14, 48 and 116 at the ends of the blocks, then a pooling and a 3x3.
    self.assertEqual(found['encoder/block4_conv4'], 116)
    self.assertEqual(found['encoder/block5_conv1'], 116 + 8 + 32)
    up = 2 * 16 + 8 + 2 * 8 + 4 + 2 * 4 + 2 + 1
    self.assertEqual(found['logits'], 156 + up)

  def test_a_skip_counts_where_it_sees_more(self):
    steps = [Step('wide', 8, 8, 9), Step('narrow', 8, 8), Step('last', 8, 8)]
    self.assertEqual(receptive_field.sides(steps[:1] + steps[2:]), [9, 9])
    steps = [Step('first', 8, 8, 3), Step('skip', 8, 8, 5), Step('last', 8, 8)]
    sides = receptive_field.sides(steps, skips=[('skip', 'last')])
    self.assertEqual(sides, [3, 7, 7])
