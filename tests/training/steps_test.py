"""Steps: the same on any number of devices, blind to padding, traced once."""

import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax import models
from carvana_jax.configs import default
from carvana_jax.inference import predictor
from carvana_jax.metrics import overlap
from carvana_jax.parallel import devices
from carvana_jax.training import losses, steps, train_state
from carvana_jax.training.optimizer import make_optimizer

ROOT = pathlib.Path(__file__).parents[2]
SIZE = (16, 24)


def small_config():
  config = default.get_config()
  # Most of the time goes into compiling layers.
  config.model.update(levels=2, encoder_convs=1, decoder_convs=1)
  config.model.first_width = 4
  config.optimizer.schedule = 'constant'
  return config


class Trainer:
  """A state and its step, on this process's devices."""

  def __init__(self, config=None, flip=False):
    config = config or small_config()
    config.augment.flip_left_right = flip
    self.model = models.build(config.model)
    optimizer = make_optimizer(config.optimizer, 10)
    averaged = config.train.average_decay > 0
    self.state = devices.create(
      lambda: train_state.create(self.model, optimizer, (*SIZE, 3), 0, averaged)
    )
    step = steps.make_train_step(self.model, optimizer, config)
    self.traces = 0

    def counted(state, batch):
      self.traces += 1
      return step(state, batch)

    self._step = devices.train_step(counted)

  def __call__(self, batch):
    for placed in devices.to_devices([batch]):
      self.state, values = self._step(self.state, placed)
    return {name: float(value) for name, value in values.items()}


def example_batch(size=8, seed=0):
  """A noisy picture with a bright square that is the mask."""
  rng = np.random.default_rng(seed)
  image = rng.integers(0, 100, (size, *SIZE, 3), np.uint8)
  mask = np.zeros((size, *SIZE), np.uint8)
  for i, (y, x) in enumerate(rng.integers(0, 8, (size, 2))):
    mask[i, y : y + 8, x : x + 12] = 255
  image[mask > 0] += 120
  return {'image': image, 'mask': mask, 'weight': np.ones(size, np.float32)}


class DevicesTest(chex.TestCase):
  def test_1_2_and_8_devices_end_with_the_same_state(self):
    results = []
    with tempfile.TemporaryDirectory() as folder:
      for devices in (1, 2, 8):
        path = f'{folder}/{devices}.npz'
        subprocess.run(
          [
            sys.executable,
            '-m',
            'tests.helpers.steps_on_devices',
            str(devices),
            path,
          ],
          cwd=ROOT,
          check=True,
        )
        with np.load(path) as file:
          results.append(dict(file))
    one, two, eight = results
    self.assertTrue(any('batch_stats' in name for name in one))
    self.assertTrue(any('average' in name for name in one))
    for other in (two, eight):
      self.assertEqual(one.keys(), other.keys())
      for name, value in one.items():
        np.testing.assert_allclose(
          other[name], value, rtol=2e-3, atol=2e-5, err_msg=name
        )


class TrainStepTest(chex.TestCase):
  def test_padding_counts_for_nothing(self):
    batch = example_batch()
    batch['weight'][-3:] = 0
    changed = jax.tree.map(np.copy, batch)
    changed['image'][-3:] = 255 - changed['image'][-3:]
    changed['mask'][-3:] = 255 - changed['mask'][-3:]
    first, second = Trainer(), Trainer()
    chex.assert_trees_all_equal(first(batch), second(changed))
    chex.assert_trees_all_equal(first.state.params, second.state.params)
    chex.assert_trees_all_equal(
      first.state.batch_stats, second.state.batch_stats
    )

  def test_a_padded_batch_gives_what_the_shorter_one_gives(self):
    batch = example_batch()
    shorter = jax.tree.map(lambda x: x[:4], batch)
    padded = jax.tree.map(np.copy, batch)
    padded['weight'][4:] = 0
    first, second = Trainer(), Trainer()
    chex.assert_trees_all_close(first(padded), second(shorter), rtol=1e-4)
    chex.assert_trees_all_close(
      first.state.batch_stats, second.state.batch_stats, rtol=1e-4, atol=1e-6
    )

  def test_metrics_are_those_of_the_whole_batch(self):
    config = small_config()
    config.model.norm = 'none'  # so that inference computes the same logits
    trainer = Trainer(config)
    batch = example_batch()
    variables = jax.tree.map(np.asarray, trainer.state.variables)
    values = trainer(batch)
    image, mask = steps.unit(batch['image']), steps.unit(batch['mask'])
    logits = trainer.model.apply(variables, image, train=False)
    expected = {'loss': losses.bce_dice(logits, mask).mean()}
    for name, value in overlap.scores(logits, mask).items():
      expected[name] = value.mean()
    for name, value in expected.items():
      self.assertAlmostEqual(values[name], float(value), 5)

  @parameterized.parameters('none', 'batch', 'group')
  def test_learns(self, norm):
    config = small_config()
    config.model.norm = norm
    trainer = Trainer(config, flip=True)
    measured = [trainer(example_batch(seed=seed)) for seed in range(80)]
    self.assertLess(measured[-1]['loss'], measured[0]['loss'] / 2)
    self.assertGreater(measured[-1]['dice'], 0.9)
    self.assertEqual(int(trainer.state.step), 80)
    self.assertEqual(trainer.traces, 1)

  def test_average_follows_the_variables(self):
    trainer = Trainer()
    first = jax.tree.map(np.asarray, trainer.state.variables)
    trainer(example_batch())
    second = jax.tree.map(np.asarray, trainer.state.variables)
    decay = (1 + 1) / (10 + 1)  # after the first step, still below 0.98
    expected = jax.tree.map(
      lambda a, b: decay * a + (1 - decay) * b, first, second
    )
    chex.assert_trees_all_close(trainer.state.average, expected, rtol=1e-5)
    chex.assert_trees_all_equal(
      trainer.state.eval_variables, trainer.state.average
    )

  def test_without_average_the_variables_are_the_best(self):
    config = small_config()
    config.train.average_decay = 0.0
    trainer = Trainer(config)
    trainer(example_batch())
    self.assertEqual(trainer.state.average, {})
    chex.assert_trees_all_equal(
      trainer.state.eval_variables, trainer.state.variables
    )

  def test_average_decay_holds_in_the_long_run(self):
    state = Trainer().state
    state = state.replace(
      step=jnp.int32(10_000),
      params=jax.tree.map(jnp.ones_like, state.params),
      batch_stats=jax.tree.map(jnp.ones_like, state.batch_stats),
    )
    average = jax.tree.map(jnp.zeros_like, state.variables)
    result = steps._averaged(average, state, 0.98)
    for leaf in jax.tree.leaves(result):
      chex.assert_trees_all_close(leaf, jnp.full_like(leaf, 0.02), rtol=1e-4)

  def test_every_step_and_device_draws_its_own_numbers(self):
    config = small_config()
    config.model.update(norm='none', dropout=0.5, dropout_levels=(0, 1))
    config.model.encoder_convs = 2
    config.optimizer.update(name='sgd', learning_rate=1e-12)
    half = jax.tree.map(lambda x: x[:4], example_batch())
    both = jax.tree.map(lambda x: np.concatenate([x, x]), half)
    trainer = Trainer(config)
    first, second = trainer(both)['loss'], trainer(both)['loss']
    self.assertGreater(abs(first - second), 1e-4)
    # The second device holds the same examples, but other numbers.
    both['weight'][4:] = 0
    self.assertGreater(abs(Trainer(config)(both)['loss'] - first), 1e-4)

  def test_accumulation_gives_the_gradient_of_the_whole_batch(self):
    config = small_config()
    config.model.norm = 'none'
    config.optimizer.name = 'sgd'  # so that parameters follow the gradient
    whole = Trainer(config, flip=True)
    config.train.accumulate = 4
    parts = Trainer(config, flip=True)
    padded = example_batch()
    padded['weight'][-3:] = 0
    for batch in (example_batch(), padded):
      expected = whole(batch)
      chex.assert_trees_all_close(parts(batch), expected, rtol=1e-4)
    chex.assert_trees_all_close(
      parts.state.params, whole.state.params, rtol=1e-4, atol=1e-6
    )
    self.assertEqual(parts.traces, 1)

  def test_accumulation_of_padding_only(self):
    config = small_config()  # with batch normalisation
    config.train.accumulate = 4
    trainer = Trainer(config)
    batch = example_batch()
    batch['weight'][1:] = 0  # three micro-batches have no real example
    changed = jax.tree.map(np.copy, batch)
    changed['image'][1:] = 255 - changed['image'][1:]
    other = Trainer(config)
    values = trainer(batch)
    self.assertEqual((values['skipped'], values['images']), (0, 1))
    chex.assert_trees_all_equal(other(changed), values)
    chex.assert_trees_all_equal(other.state.trained, trainer.state.trained)
    chex.assert_tree_all_finite(trainer.state.trained)

  def test_bfloat16_computes_only(self):
    config = small_config()
    long = Trainer(config)
    config.model.dtype = 'bfloat16'
    short = Trainer(config)
    for seed in range(4):
      batch = example_batch(seed=seed)
      expected, loss = long(batch)['loss'], short(batch)['loss']
      self.assertNotEqual(loss, expected)
      self.assertLess(abs(loss - expected), 0.02 * expected)
    dtypes = lambda state: jax.tree.map(lambda x: x.dtype, state)
    self.assertEqual(dtypes(short.state), dtypes(long.state))
    chex.assert_type(jax.tree.leaves(short.state.trained), jnp.float32)

  def test_a_step_of_clipped_sgd_by_hand(self):
    config = small_config()
    config.model.norm = 'none'
    config.train.loss = 'bce'
    config.optimizer.update(name='sgd', learning_rate=0.5, clip_norm=0.01)
    trainer = Trainer(config)
    before = jax.tree.map(np.asarray, trainer.state.params)
    batch = example_batch()

    def loss(params):
      x, y = batch['image'] / 255.0, batch['mask'] / 255.0
      x = trainer.model.apply({'params': params}, x, train=False)
      # From -log of the probability of the right class.
      return jnp.mean(jnp.log1p(jnp.exp(x)) - x * y)

    gradient = jax.tree.map(np.asarray, jax.jit(jax.grad(loss))(before))
    squares = [np.sum(np.square(g)) for g in jax.tree.leaves(gradient)]
    norm = np.sqrt(sum(squares))
    self.assertGreater(norm, 0.01)
    self.assertAlmostEqual(trainer(batch)['gradient_norm'], norm, 4)
    # The first step of Nesterov's momentum 0.9 is 1.9 times the gradient.
    expected = jax.tree.map(
      lambda p, g: p - 0.5 * 1.9 * g * 0.01 / norm, before, gradient
    )
    chex.assert_trees_all_close(
      trainer.state.params, expected, rtol=1e-4, atol=1e-6
    )

  @parameterized.product(
    not_finite=('loss', 'gradient'), backend=('cpu', 'gpu')
  )
  def test_a_skipped_step_changes_nothing(self, not_finite, backend):
    self.enterContext(
      mock.patch.object(jax, 'default_backend', lambda: backend)
    )

    def bad(logits, target):
      none = jnp.sum(target, (1, 2)) == 0  # pictures without a car are bad
      # The slope of the root is not finite at 0.
      root = jnp.sqrt(jnp.sum(logits * target, (1, 2)) ** 2)
      wrong = root if not_finite == 'gradient' else jnp.nan
      return losses.bce(logits, target) + jnp.where(none, wrong, 0)

    config = small_config()
    config.train.loss = 'bad'
    with mock.patch.dict(losses._LOSSES, bad=bad):
      trainer = Trainer(config)
    batch = example_batch()
    empty = batch | {'mask': 0 * batch['mask']}
    self.assertEqual(trainer(batch)['skipped'], 0)
    plain = lambda state: jax.tree.map(np.asarray, state)
    before = plain(trainer.state)
    values = trainer(empty)
    self.assertEqual(values['skipped'], 1)
    self.assertEqual(np.isfinite(values['loss']), not_finite == 'gradient')
    self.assertEqual(np.isfinite(values['gradient_norm']), not_finite == 'loss')
    after = plain(trainer.state)
    self.assertEqual(after.step, before.step + 1)
    chex.assert_trees_all_equal(after.replace(step=before.step), before)
    self.assertEqual(trainer.traces, 1)

  @parameterized.parameters(('cpu', 1), ('gpu', 0))
  def test_an_accelerator_waits_for_no_condition(self, backend, expected):
    config = small_config()
    with mock.patch.object(jax, 'default_backend', lambda: backend):
      model = models.build(config.model)
      optimizer = make_optimizer(config.optimizer, 10)
      step = steps.make_train_step(model, optimizer, config)
      state = jax.eval_shape(
        lambda: train_state.create(model, optimizer, (*SIZE, 3), 0, True)
      )
      traced = jax.make_jaxpr(step, axis_env=[(devices.AXIS, 1)])(
        state, example_batch()
      )
    self.assertEqual(str(traced).count(' cond['), expected)

  @parameterized.parameters('cpu', 'gpu')
  def test_state_is_donated(self, backend):
    self.enterContext(
      mock.patch.object(jax, 'default_backend', lambda: backend)
    )
    trainer = Trainer()
    before = jax.tree.leaves(trainer.state.params)
    trainer(example_batch())
    self.assertTrue(all(leaf.is_deleted() for leaf in before))

  def test_repeats_bit_by_bit(self):
    first, second = Trainer(flip=True), Trainer(flip=True)
    for seed in range(3):
      first(example_batch(seed=seed))
      second(example_batch(seed=seed))
    chex.assert_trees_all_equal(first.state.params, second.state.params)


class EvalStepTest(chex.TestCase):
  def test_flip_averages_with_the_mirrored_photo(self):
    class Slope:
      def apply(self, variables, image, train):
        return image[..., 0] + jnp.arange(image.shape[2])

    batch = example_batch(2)
    image = steps.unit(batch['image'])[..., 0]
    step = predictor.make_logit_step([Slope()] * 2, [True, False], chunk=1)
    mirrored, plain = step([{}] * 2, [batch['image']] * 2)
    expected = image + (SIZE[1] - 1) / 2
    chex.assert_trees_all_close(mirrored, expected, rtol=1e-6)
    expected = image + jnp.arange(SIZE[1])
    chex.assert_trees_all_close(plain, expected, rtol=1e-6)

  def test_any_batch_size_gives_the_same_scores(self):
    config = small_config()
    model = models.build(config.model)
    batch = example_batch(8)
    variables = devices.create(
      lambda: model.init(
        jax.random.key(0), jnp.zeros((1, *SIZE, 3)), train=False
      )
    )
    step = devices.eval_step(steps.make_validation_step(model, config))

    def scores(size):
      parts = [
        {name: batch[name][i : i + size] for name in ('image', 'mask')}
        for i in range(0, 8, size)
      ]
      values = [
        devices.to_host(step(variables, part))
        for part in devices.to_devices(parts)
      ]
      return jax.tree.map(lambda *x: np.concatenate(x), *values)

    chex.assert_trees_all_close(scores(2), scores(8), rtol=1e-6)
