"""The layer table against counts taken in other ways."""

import importlib
import pathlib
import subprocess
import sys
from unittest import mock

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized
from flax import linen as nn

from carvana_jax import models
from carvana_jax.datasets import prepare
from carvana_jax.models import layer_table

SHAPE = (64, 96, 3)


def model_of(name):
  return models.build(
    importlib.import_module(f'carvana_jax.configs.{name}').get_config().model
  )


class Encoder(nn.Module):
  """Two layers in a module of their own, which returns both features."""

  @nn.compact
  def __call__(self, x):
    first = nn.Conv(2, (3, 3), name='conv0')(x)
    return first, nn.Conv(4, (3, 3), strides=2, name='conv1')(first)


class HalfFrozen(nn.Module):
  """Layers of every kind, the first two frozen."""

  @property
  def frozen(self):
    return ('encoder',)

  @nn.compact
  def __call__(self, x, train):
    x = Encoder(name='encoder')(x)[-1]
    x = nn.ConvTranspose(2, (2, 2), (2, 2), name='enlarge')(x)
    x = nn.BatchNorm(use_running_average=not train, name='norm')(x)
    return nn.Conv(1, (1, 1), name='logits')(x)[..., 0]


class SummaryTest(chex.TestCase):
  @parameterized.parameters('studio', 'tiny_unet128', 'unet256', 'cnn256')
  def test_adds_up(self, name):
    model = model_of(name)
    found = layer_table.layers(model, SHAPE)
    image = jnp.zeros((1, *SHAPE))
    variables = jax.eval_shape(
      lambda: model.init(jax.random.key(0), image, train=False)
    )
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
    self.assertEqual(
      sum(layer.parameters for layer in found), count(variables['params'])
    )
    self.assertEqual(
      sum(layer.statistics for layer in found),
      count(variables.get('batch_stats', {})),
    )
    self.assertEqual(found[-1].name, 'logits')
    self.assertEqual(found[-1].output, (*SHAPE[:2], 1))

  @parameterized.parameters('tiny_unet128', 'unet256', 'cnn256')
  def test_flops_are_about_those_that_the_compiler_counts(self, name):
    model = model_of(name)
    found = layer_table.layers(model, SHAPE)
    image = jnp.zeros((1, *SHAPE))
    variables = jax.eval_shape(
      lambda: model.init(jax.random.key(0), image, train=False)
    )
    apply = jax.jit(lambda v, x: model.apply(v, x, train=False))
    # On CPUs, convolutions of few channels compute more than they need to.
    with mock.patch('jax.default_backend', lambda: 'gpu'):
      counted = apply.lower(variables, image).cost_analysis()['flops']
    ours = sum(layer.flops for layer in found)
    # The compiler leaves out what falls on padding, and counts ReLUs.
    self.assertBetween(ours / counted, 0.93, 1.1)

  def test_frozen_layers_do_not_count_as_trainable(self):
    found = layer_table.layers(HalfFrozen(), SHAPE)
    self.assertEqual(
      [(layer.name, layer.kind, layer.trainable) for layer in found],
      [
        ('encoder/conv0', 'conv', False),
        ('encoder/conv1', 'conv', False),
        ('enlarge', 'transposed', True),
        ('norm', 'norm', True),
        ('logits', 'conv', True),
      ],
    )
    frozen = (27 * 2 + 2) + (18 * 4 + 4)
    trained = (4 * 4 * 2 + 2) + 4 + (2 + 1)
    self.assertEqual(
      layer_table.totals(found),
      f'parameters {frozen + trained + 4} trainable {trained} statistics 4',
    )
    marked = [line for line in layer_table.table(found).splitlines()
              if '(frozen)' in line]  # fmt: skip
    self.assertLen(marked, 2)

  @parameterized.parameters(
    ('tiny_unet128', 120_965, 120_965, 0),
    ('tiny_unet512', 485_957, 485_957, 0),
    ('median_cnn100', 23_249, 23_249, 0),
    ('bn_unet128', 34_540_737, 34_527_041, 13_696),
    ('cnn256', 371_073, 371_073, 0),
    ('vgg19_unet512', 21_359_425, 8_410_881, 3_584),
  )
  def test_published_counts(self, name, parameters, trainable, statistics):
    config = importlib.import_module(f'carvana_jax.configs.{name}').get_config()
    found = layer_table.layers(
      models.build(config.model), prepare.input_shape(config.data)
    )
    self.assertEqual(
      layer_table.totals(found),
      f'parameters {parameters} trainable {trainable} statistics {statistics}',
    )

  def test_command_ends_with_the_sums(self):
    result = subprocess.run(
      [sys.executable, '-m', 'carvana_jax.summary',
       '--config=configs/tiny_unet128.py'],
      cwd=pathlib.Path(__file__).parents[2],
      capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = result.stdout.splitlines()
    self.assertEqual(
      lines[-2:],
      [
        'receptive field 105 x 105 pixels of the input',
        'parameters 120965 trainable 120965 statistics 0',
      ],
    )
    self.assertLess(max(map(len, lines)), 80)
