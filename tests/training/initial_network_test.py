"""What a run takes from a trained network, and what it refuses."""

import contextlib
import io
import pathlib
import shutil
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax import models
from carvana_jax.configs import cnn256, debug
from carvana_jax.datasets import prepare
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  checkpoint,
  initial_network,
  loop,
  losses,
  saved_steps,
  steps,
  train_state,
  trained_run,
)
from carvana_jax.training.optimizer import make_optimizer
from tests.helpers import numbered, saved_run


def small_config(**train):
  config = debug.get_config()
  config.model.update(levels=2, first_width=2, encoder_convs=1)
  config.model.decoder_convs = 1
  config.augment.flip_left_right = False
  config.train.update(train)
  return config


def state_of(config, seed):
  """A state of random numbers, as compiling JAX's own takes long."""
  rng = np.random.default_rng(seed)
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 10)

  def value(leaf):
    if leaf.dtype != np.float32:
      return np.zeros(leaf.shape, leaf.dtype)
    return rng.uniform(0.5, 1, leaf.shape).astype(np.float32)

  create = train_state.creator(config, model, optimizer)
  return jax.tree.map(value, jax.eval_shape(create))


def source_of(config, seed=1, data='studio-1/studio/64x96/1.0.0', start=None):
  variables = state_of(config, seed).eval_variables
  return trained_run.Run(config, None, variables, 30, data, start)


def start_from(source, config):
  output = io.StringIO()
  with contextlib.redirect_stdout(output):
    state, notes = initial_network.start_from(
      source, config, state_of(config, seed=2)
    )
  return state, notes, output.getvalue()


class TakenTest(chex.TestCase):
  def test_all_of_an_equal_network(self):
    config = small_config(init_from='old', freeze='down0*')
    source = source_of(small_config())
    state, notes, said = start_from(source, config)
    chex.assert_trees_all_equal(state.variables, source.variables)
    chex.assert_trees_all_equal(state.eval_variables, source.variables)
    self.assertEqual(notes['network'], source.digest())
    self.assertIn('params/down0_conv0/kernel', notes['taken'])
    self.assertIn('batch_stats/down0_norm0/mean', notes['taken'])
    # Kernel, bias, scale, offset, mean, variance of three layers, and the last.
    self.assertIn('20 of 20 arrays', said)
    self.assertNotIn('not taken', said)

  def test_nothing_of_another_shape_or_name(self):
    config = small_config(init_from='old')
    config.data.multiview, config.model.head_width = True, 5
    source = source_of(small_config())
    before = state_of(config, seed=2).params
    state, _, said = start_from(source, config)
    for layer, name in (('down0_conv0', 'kernel'), ('head', 'bias')):
      np.testing.assert_array_equal(
        state.params[layer][name], before[layer][name]
      )
    for layer in ('down0_norm0', 'up0_conv0'):
      chex.assert_trees_all_equal(
        state.params[layer], source.variables['params'][layer]
      )
    self.assertIn('18 of 22 arrays', said)
    self.assertIn(
      'down0_conv0/kernel (3x3x3x2 there, 3x3x6x2 here); '
      'params/head/bias (none there, 5 here)',
      said,
    )
    self.assertIn('; 1 more', said)

  def test_of_no_kernel_is_refused(self):
    config = cnn256.get_config()
    config.train.init_from = 'old'
    with self.assertRaisesRegex(UserError, '=old has no kernel .*old/config'):
      start_from(source_of(small_config()), config)

  def test_layers_frozen_at_random_are_refused(self):
    config = small_config(init_from='old', freeze='down*')
    config.data.multiview = True
    with self.assertRaisesRegex(UserError, r'old .*\(down0_conv0\); choose'):
      start_from(source_of(small_config()), config)


class SeenTest(chex.TestCase):
  @parameterized.parameters(
    ('studio-1/studio/128x192/1.0.1', (1,), True),
    ('studio-1/studio/64x96/1.0.0', (2,), False),
    ('studio-1/studio/64x96/1.0.0', (1, 2), False),
    ('carvana-2/carvana/64x96/1.0.0', (2,), True),
  )
  def test_cars_to_validate_on(self, identity, folds, good):
    config = small_config(init_from='old')
    config.data.validation_folds = folds
    first = source_of(config)
    first.config.data.validation_folds = (1,)
    _, notes, _ = start_from(first, first.config)
    later = source_of(first.config, data='other/1', start=notes)
    config = small_config(init_from='old')
    config.data.validation_folds = folds
    for source in (first, later):
      if good:
        initial_network.refuse_seen(source, config, identity)
      else:
        with self.assertRaisesRegex(UserError, r'=old has .*=\(1,\), .*same'):
          initial_network.refuse_seen(source, config, identity)

  @parameterized.parameters(
    ({'split_shares': (8, 1, 1)}, {'split_shares': (8, 1, 1)}, True),
    ({'split_shares': (8, 1, 1)}, {}, False),
    ({}, {'split_shares': (8, 1, 1)}, False),
    (
      {'split_shares': (8, 1, 1)},
      {'split_shares': (8, 1, 1), 'split_seed': 1},
      False,
    ),
    ({'first': 20}, {'first': 30}, True),  # no car moves
  )
  def test_splits_by_shares(self, before, now, good):
    config = small_config(init_from='old')
    config.data.update(before)
    first = source_of(config)
    _, notes, _ = start_from(first, first.config)
    later = source_of(small_config(), data='other/1', start=notes)
    config = small_config(init_from='old')
    config.data.update(now)
    for source in (first, later):
      check = lambda source=source: initial_network.refuse_seen(
        source, config, 'studio-1/studio/64x96/1.0.0'
      )
      if good:
        check()
      else:
        with self.assertRaisesRegex(UserError, 'split in another way'):
          check()


class SlowedTest(chex.TestCase):
  @parameterized.parameters('adam', 'adamw', 'muon', 'sgd')
  def test_is_a_lower_learning_rate(self, name):
    config = small_config().optimizer
    config.update(name=name, schedule='constant', clip_norm=0.0)
    rng = np.random.default_rng(0)
    kernel = lambda: {'kernel': rng.normal(size=(1, 1, 2, 3)).astype('f4')}
    params, gradient = ({'old': kernel(), 'new': kernel()} for _ in range(2))
    full = make_optimizer(config, 10)
    slowed = initial_network.slowed(
      full, 0.25, {'taken': ['params/old/kernel', 'batch_stats/new/kernel']}
    )
    config.learning_rate /= 4
    quarter = make_optimizer(config, 10)
    full, slowed, quarter = (
      x.update(gradient, x.init(params), params)[0]
      for x in (full, slowed, quarter)
    )
    np.testing.assert_allclose(
      slowed['old']['kernel'], quarter['old']['kernel'], rtol=1e-6
    )
    np.testing.assert_array_equal(
      slowed['new']['kernel'], full['new']['kernel']
    )

  def test_leaves_the_optimizer_where_there_is_nothing_to_slow(self):
    optimizer = make_optimizer(small_config().optimizer, 10)
    for rate, notes in ((1.0, {'taken': ['params/a']}), (0.1, None)):
      self.assertIs(initial_network.slowed(optimizer, rate, notes), optimizer)


class FreezeTest(chex.TestCase):
  def test_frozen_layers_stay_and_normalise_by_their_statistics(self):
    config = small_config(init_from='old', freeze='down*, up*')
    model = models.build(config.model)
    optimizer = make_optimizer(config.optimizer, 10)
    state = before = state_of(config, seed=0)
    self.assertEqual([*state.params], ['logits'])
    rng = np.random.default_rng(0)
    batch = {
      'image': rng.integers(0, 255, (1, 2, 8, 8, 3), np.uint8),
      'mask': rng.integers(0, 255, (1, 2, 8, 8), np.uint8),
      'weight': np.ones((1, 2), np.float32),
    }
    step = jax.jit(
      jax.vmap(
        steps.make_train_step(model, optimizer, config),
        in_axes=(None, 0),
        axis_name=devices.AXIS,
      )
    )
    one = lambda x: x[0]
    state, metrics = jax.tree.map(one, step(state, batch))
    image, mask = steps.unit(batch['image'][0]), steps.unit(batch['mask'][0])
    logits = model.apply(before.variables, image, train=False)
    loss = losses.by_name(config.train.loss)(logits, mask).mean()
    np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-5)
    chex.assert_trees_all_equal(state.frozen, before.frozen)
    self.assertIn('batch_stats', state.frozen)
    moved = state.params['logits']['kernel'] - before.params['logits']['kernel']
    self.assertGreater(jnp.abs(moved).min(), 0)


class RunTest(chex.TestCase):
  """Runs of three steps an epoch, from a network that was never trained."""

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    builder = numbered.prepare(self.folder / 'data')
    self.enterContext(mock.patch.object(prepare, 'dataset', lambda *_: builder))
    self.old = self.folder / 'old'
    saved_run.save(self.old, config=small_config())
    self.config = small_config()
    self.config.data.data_dir = str(self.folder)
    self.config.train.update(
      batch_size=6, picture_epochs=0, init_from=str(self.old), init_rate=0.5,
      freeze='down0*',
    )  # fmt: skip

  def train(self, workdir):
    with contextlib.redirect_stdout(io.StringIO()):
      loop.train(self.config, workdir)

  def test_goes_on_with_what_was_taken_though_that_is_gone(self):
    one, two = self.folder / 'one', self.folder / 'two'
    self.train(one)
    first, last = saved_steps.steps(one)
    notes = checkpoint.read_notes(one, first)
    self.assertEqual(notes['init']['folder'], str(self.old))
    (start,) = (one / 'starts.jsonl').read_text().splitlines()
    self.assertIn(f'{self.old}, step 0, network', start)
    whole = trained_run.load(one).variables
    shutil.copytree(one, two)
    shutil.rmtree(saved_steps.folder_of(two) / str(last))
    saved_steps.checksums_path(two, last).unlink()
    # Another network in its place is refused, an absent one isn't missed.
    self.old.rename(self.folder / 'moved')
    saved_run.save(self.old, 1, small_config())
    with self.assertRaisesRegex(UserError, f'from={self.old} has another'):
      self.train(two)
    shutil.rmtree(self.old)
    self.train(two)
    chex.assert_trees_all_equal(trained_run.load(two).variables, whole)
    # Nor does it go on as one that was started from nothing.
    self.config.train.update(init_from='', init_rate=1.0, freeze='')
    with self.assertRaisesRegex(UserError, "init_from .'.*/old' there, '' "):
      self.train(two)

  def test_folders_without_a_network_are_refused(self):
    shutil.rmtree(self.old)
    with self.assertRaisesRegex(UserError, 'old holds no .*not exist.*a run'):
      self.train(self.folder / 'one')
    (self.old / 'fold_1').mkdir(parents=True)
    with self.assertRaisesRegex(UserError, 'old holds a cross-.*old/fold_1'):
      self.train(self.folder / 'one')
    self.assertFalse((self.folder / 'one').exists())

  def test_an_unfit_network_is_refused_before_the_run_has_a_config(self):
    self.config.model.first_width = 3
    with self.assertRaisesRegex(UserError, 'has no kernel of the same name'):
      self.train(self.folder / 'one')
    self.assertFalse((self.folder / 'one/config.json').exists())
