"""What training leaves alone: found, filled in, saved, and never changed."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax import models
from carvana_jax.configs import median_cnn100, vgg19_unet512
from carvana_jax.models import frozen_variables, vgg_weights
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import steps, train_state
from carvana_jax.training.optimizer import make_optimizer

SIZE = (16, 32)


def batch_of(channels, size=2):
  rng = np.random.default_rng(0)
  return {
    'image': rng.integers(0, 256, (size, *SIZE, channels), np.uint8),
    'mask': rng.integers(0, 256, (size, *SIZE), np.uint8),
    'weight': np.ones(size, np.float32),
  }


def trained(config, channels, values=None):
  """States before and after two steps."""
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 10)
  state = devices.create(
    lambda: train_state.create(model, optimizer, (*SIZE, channels), 0, True)
  )
  if values:
    state = state.replace(frozen=devices.replicate(values))
  before = jax.tree.map(np.asarray, state.replace(key=0))
  config.train.average_decay = 0.5
  step = devices.train_step(steps.make_train_step(model, optimizer, config))
  for batch in devices.to_devices([batch_of(channels)] * 2):
    state, _ = step(state, batch)
  return before, jax.tree.map(np.asarray, state.replace(key=0))


def abstract_state(config):
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 10)
  return jax.eval_shape(
    lambda: train_state.create(model, optimizer, (*SIZE, 3), 0, True)
  )


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


class EncoderTest(chex.TestCase):
  def test_keeps_its_parameters_and_costs_the_optimizer_nothing(self):
    config = vgg19_unet512.get_config()
    before, after = trained(config, 3)
    chex.assert_trees_all_equal(before.frozen, after.frozen)
    self.assertEqual(list(after.frozen['params']), ['encoder'])
    self.assertNotIn('encoder', after.params)
    self.assertNotIn('encoder', after.average['params'])
    # Adam keeps two numbers a parameter; it and the schedule count steps.
    self.assertEqual(count(after.opt_state), 2 * count(after.params) + 2)
    changed = jax.tree.map(
      lambda a, b: bool(np.any(a != b)), before.params, after.params
    )
    self.assertTrue(all(jax.tree.leaves(changed)), changed)
    self.assertIn('encoder', after.variables['params'])
    self.assertIn('encoder', after.eval_variables['params'])

  def test_no_gradient_of_it_is_computed(self):
    config = vgg19_unet512.get_config()
    work = {}
    for weights in ('', 'random'):
      config.model.encoder_weights = weights
      model = models.build(config.model)
      optimizer = make_optimizer(config.optimizer, 10)
      step = jax.vmap(
        steps.make_train_step(model, optimizer, config),
        in_axes=(None, 0),
        axis_name=devices.AXIS,
      )
      batch = jax.tree.map(lambda x: x[None], batch_of(3))
      lowered = jax.jit(step).lower(abstract_state(config), batch)
      work[weights] = lowered.cost_analysis()['flops']
    # The frozen encoder is run forward only: a third of its full cost.
    self.assertLess(work[''], 0.75 * work['random'])

  def test_trains_from_scratch_if_asked(self):
    config = vgg19_unet512.get_config()
    config.model.encoder_weights = 'random'
    frozen_variables.check_weights_file(config)
    state = abstract_state(config)
    self.assertEqual(state.frozen, {})
    self.assertIn('encoder', state.params)
    self.assertIn('encoder', state.average['params'])
    self.assertEqual(count(state.opt_state), 2 * count(state.params) + 2)

  @parameterized.parameters(('', "'random'"), ('/none.h5', '/none.h5'))
  def test_without_a_file(self, weights, part):
    config = vgg19_unet512.get_config()
    config.model.encoder_weights = weights
    with self.assertRaisesRegex(UserError, part):
      frozen_variables.check_weights_file(config)

  def test_comes_from_the_file(self):
    config = vgg19_unet512.get_config()
    config.model.encoder_weights = 'weights.h5'
    like = abstract_state(config).frozen
    weights = jax.tree.map(
      lambda x: np.full(x.shape, 0.5, x.dtype), like['params']['encoder']
    )
    read = mock.Mock(return_value=(weights, 'abc'))
    with mock.patch.object(vgg_weights, 'read', read):
      frozen_variables.check_weights_file(config)
      result, origin = frozen_variables.values(like, config.model, [])
    read.assert_called_with('weights.h5')
    self.assertEqual(origin, {'encoder': 'abc'})
    chex.assert_trees_all_equal_shapes_and_dtypes(result, like)
    self.assertEqual(
      result['params']['encoder']['block1_conv1']['bias'][0], 0.5
    )


class StandardizationTest(chex.TestCase):
  def test_statistics_of_the_real_pixels(self):
    first, second = batch_of(6), batch_of(6)
    second['image'] = second['image'] // 2
    second['weight'] = np.array([1, 0], np.float32)
    result = frozen_variables.channel_statistics([first, second])
    pixels = np.concatenate([first['image'], second['image'][:1]]) / 255
    np.testing.assert_allclose(result['mean'], pixels.mean((0, 1, 2)), 1e-5)
    np.testing.assert_allclose(result['std'], pixels.std((0, 1, 2)), 1e-5)

  def test_a_channel_without_contrast_is_not_divided_by_zero(self):
    batch = batch_of(3)
    batch['image'][..., 1] = 7
    result = frozen_variables.channel_statistics([batch])
    self.assertEqual(result['std'][1], 1)
    self.assertAlmostEqual(result['mean'][1], 7 / 255, 6)

  def test_network_is_shifted_and_scaled(self):
    config = median_cnn100.get_config()
    mean, std = np.linspace(0.1, 0.6, 6), np.linspace(0.5, 1.5, 6)
    values = {'input': {'mean': jnp.array(mean), 'std': jnp.array(std)}}
    before, after = trained(config, 6, values)
    chex.assert_trees_all_equal(before.frozen, after.frozen)
    image = np.random.default_rng(0).uniform(size=(2, *SIZE, 6))
    apply = lambda model, variables, image: models.build(model).apply(
      variables, image, train=False
    )
    result = apply(config.model, after.variables, image)
    config.model.standardize = False
    plain = {'params': after.params}
    expected = apply(config.model, plain, (image - mean) / std)
    chex.assert_trees_all_close(result, expected, atol=1e-4)

  def test_values_fill_what_is_asked_for(self):
    like = {'input': {'mean': 0, 'std': 0}}
    config = median_cnn100.get_config().model
    result, origin = frozen_variables.values(like, config, [batch_of(6)])
    chex.assert_trees_all_equal_structs(result, like)
    self.assertEqual(origin, {})
    self.assertEqual(frozen_variables.values({}, config, []), ({}, {}))
