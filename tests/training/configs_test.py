"""Every config can be run; optimizer, schedules and models refuse nonsense."""

import importlib
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl.testing import parameterized
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.configs import default
from carvana_jax.datasets import prepare, spec
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import losses, train_state
from carvana_jax.training.optimizer import make_optimizer, schedule

FILES = sorted(
  path.stem
  for path in (pathlib.Path(__file__).parents[2] / 'configs').glob('*.py')
  if path.stem != '__init__'
)


def _fields(config):
  return {
    section: sorted(fields) if isinstance(fields, ConfigDict) else None
    for section, fields in config.items()
  }


class ConfigsTest(chex.TestCase):
  @parameterized.parameters(*FILES)
  def test_builds_all_that_a_run_needs(self, name):
    module = importlib.import_module(f'carvana_jax.configs.{name}')
    self.assertTrue(module.__doc__)
    config = module.get_config()
    # Where it follows from the photos.
    config.data.size = config.data.size or '512x768'
    model = models.build(config.model)
    optimizer = make_optimizer(config.optimizer, 100)
    create = train_state.creator(config, model, optimizer)
    state = devices.abstract(create)
    self.assertEqual(state.step.dtype, np.int32)
    losses.by_name(config.train.loss)
    if config.data.dataset != 'folder':  # whose photos have their own
      spec.parse_size(prepare.full_size(config.data))

  @parameterized.parameters(*FILES)
  def test_has_the_fields_of_the_default(self, name):
    config = importlib.import_module(f'carvana_jax.configs.{name}').get_config()
    expected = default.get_config()
    if config.model.name != 'unet':  # another network has other fields
      expected.model = config.model
    self.assertEqual(_fields(config), _fields(expected))

  @parameterized.parameters(
    ('norm', 'bacth'),
    ('upsampling', 'x'),
    ('kernel_init', 'zeros'),
    ('dtype', 'f8'),
    ('name', 'net'),
  )
  def test_unknown_choice(self, field, value):
    config = default.get_config().model
    config[field] = value
    with self.assertRaisesRegex(UserError, f'{field}={value!r} is unknown'):
      models.build(config)

  def test_too_few_levels(self):
    config = default.get_config().model
    config.levels = 0
    with self.assertRaisesRegex(UserError, 'levels=0 must be at least 1'):
      models.build(config)

  @parameterized.parameters(('name', 'lion'), ('schedule', 'linear'))
  def test_unknown_optimizer(self, field, value):
    config = default.get_config().optimizer
    config[field] = value
    with self.assertRaisesRegex(UserError, f'{field}={value!r} is unknown'):
      make_optimizer(config, 10)

  def test_unknown_dataset(self):
    config = default.get_config().data
    config.dataset = 'cars'
    with self.assertRaisesRegex(UserError, "dataset='cars' is unknown"):
      prepare.full_size(config)


class OptimizerTest(chex.TestCase):
  def test_schedules_at_their_boundaries(self):
    config = default.get_config().optimizer
    config.learning_rate = 0.5
    rates = {}
    for name in ('constant', 'cosine', 'one_cycle'):
      config.schedule = name
      rates[name] = schedule(config, 100)
    at = lambda name, step: float(rates[name](step))
    self.assertEqual((at('constant', 0), at('constant', 99)), (0.5, 0.5))
    self.assertEqual(at('cosine', 0), 0.5)
    self.assertAlmostEqual(at('cosine', 50), 0.25, 6)
    self.assertAlmostEqual(at('cosine', 100), 0, 6)
    # Up from 1/25 of the peak in 30 % of the steps, then down to 1/10000.
    self.assertAlmostEqual(at('one_cycle', 0), 0.02, 6)
    self.assertAlmostEqual(at('one_cycle', 30), 0.5, 6)
    self.assertAlmostEqual(at('one_cycle', 100), 0.5 / 25 / 1e4, 6)
    for step in range(100):
      self.assertGreater(at('one_cycle', step), 0)
    config.warmup = 0.1
    rates['one_cycle'] = schedule(config, 100)
    self.assertAlmostEqual(at('one_cycle', 10), 0.5, 6)
    self.assertLess(at('one_cycle', 30), 0.5)

  @parameterized.parameters('adam', 'adamw', 'muon', 'sgd')
  def test_lowers_a_loss(self, name):
    config = default.get_config().optimizer
    config.update(name=name, schedule='constant', learning_rate=0.05)
    optimizer = make_optimizer(config, 100)
    loss = lambda x: (x - 3) ** 2

    @jax.jit
    def step(x, state):
      change, state = optimizer.update(jax.grad(loss)(x), state, x)
      return optax.apply_updates(x, change), state

    x, state = 0.0, optimizer.init(0.0)
    for _ in range(100):
      x, state = step(x, state)
    self.assertLess(float(loss(x)), 0.5)

  def test_muon_steps_kernels_along_orthogonal_directions(self):
    config = default.get_config().optimizer
    config.update(name='muon', schedule='constant', learning_rate=0.1)
    config.update(weight_decay=0.0, clip_norm=0.0)
    optimizer = make_optimizer(config, 10)
    key = jax.random.key(0)
    gradient = {
      'kernel': jax.random.normal(key, (3, 3, 4, 8)),
      'bias': jnp.array([1e-6, -10.0]),
    }
    params = jax.tree.map(jnp.zeros_like, gradient)
    change, _ = optimizer.update(gradient, optimizer.init(params), params)
    # Liu et al. 2025, equation 4: 0.2 times the root of the longer side, 36.
    # Five Newton-Schulz steps bring singular values near 1, not to it.
    values = jnp.linalg.svd(change['kernel'].reshape(36, 8), compute_uv=False)
    chex.assert_trees_all_close(values / (0.1 * 0.2 * 6), jnp.ones(8), atol=0.4)
    # Adam's first step has the same length for any gradient.
    self.assertAlmostEqual(float(change['bias'].sum()), 0, delta=0.01)
    self.assertGreater(float(change['bias'][1]), 0.1)

  def test_clips_the_whole_gradient(self):
    config = default.get_config().optimizer
    config.update(name='sgd', schedule='constant', learning_rate=1.0)
    config.clip_norm = 0.5
    optimizer = make_optimizer(config, 10)
    params = {'a': jnp.zeros(2), 'b': jnp.zeros(1)}
    gradient = {'a': jnp.array([3.0, 0.0]), 'b': jnp.array([4.0])}
    change, _ = optimizer.update(gradient, optimizer.init(params), params)
    # The first Nesterov step is 1.9 times the clipped gradient.
    self.assertAlmostEqual(
      float(optax.global_norm(change)), 1.9 * 0.5, places=5
    )
