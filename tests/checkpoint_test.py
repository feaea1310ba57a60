"""Checkpoints: restored bit by bit, the best kept, errors that help."""

import pathlib
import tempfile

import chex
import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax import checkpoint, models, parallel, train_state
from carvana_jax.errors import UserError
from configs import debug


def new_state(config):
  model = models.build(config.model)
  optimizer = train_state.make_optimizer(config.optimizer, 10)
  create = checkpoint.state_creator(config, model, optimizer)
  return create, parallel.create(create)


def plain(state):
  """NumPy arrays; keys as their data."""
  state = state.replace(key=jax.random.key_data(state.key))
  return jax.tree.map(np.asarray, state)


class CheckpointTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.workdir = pathlib.Path(folder.name)
    self.config = debug.get_config()
    self.create, self.state = new_state(self.config)
    self.notes = {
      'config': self.config.to_dict(),
      'data': 'studio/64x96/1.0.0',
      'train_seconds': 1.5,
    }

  def save(self, dice_by_step):
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      for step, dice in dice_by_step.items():
        state = self.state.replace(
          step=jnp.int32(step),
          params=jax.tree.map(lambda p, s=step: p + s, self.state.params),
        )
        state = jax.device_put(state, parallel.replicated())
        checkpoints.save(state, self.notes, dice)

  def test_restores_bit_by_bit(self):
    self.save({7: 0.5})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.latest, 7)
      restored = checkpoints.state(7, checkpoint.abstract(self.create))
      self.assertEqual(checkpoints.notes(7)['train_seconds'], 1.5)
    expected = self.state.replace(
      step=jnp.int32(7),
      params=jax.tree.map(lambda p: p + 7, self.state.params),
    )
    chex.assert_trees_all_equal(plain(restored), plain(expected))
    self.assertFalse(restored.step.weak_type)
    for leaf in jax.tree.leaves(restored):
      self.assertEqual(leaf.sharding, parallel.replicated())

  def test_keeps_the_last_two_and_the_best(self):
    self.save({1: 0.5, 2: 0.9, 3: 0.6, 4: 0.7, 5: 0.8})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual((checkpoints.latest, checkpoints.best), (5, 2))
    kept = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(kept, {'2', '4', '5'})

  def test_of_equal_scores_the_first_is_the_best(self):
    self.save({1: 0.0, 2: 0.7, 3: 0.7, 4: 0.7, 5: 0.0})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.best, 2)
    kept = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(kept, {'2', '4', '5'})

  def test_loads_the_best_from_the_folder_alone(self):
    self.save({1: 0.5, 2: 0.9, 3: 0.6})
    run = checkpoint.load(self.workdir)
    self.assertEqual(run.step, 2)
    self.assertEqual(run.config.data.size, self.config.data.size)
    image = jnp.zeros((2, 64, 96, 3))
    logits = run.model.apply(run.variables, image, train=False)
    chex.assert_shape(logits, (2, 64, 96))

  def test_run_of_an_older_version(self):
    self.save({1: 0.5})
    path = self.workdir / 'checkpoints' / '1' / 'metrics' / 'metrics'
    self.assertIn('score', path.read_text())
    path.write_text('{"dice": 0.5}')
    with self.assertRaisesRegex(UserError, 'older version'):
      checkpoint.load(self.workdir)

  def test_exists_when_one_is_whole(self):
    self.assertFalse(checkpoint.exists(self.workdir))
    folder = self.workdir / 'checkpoints'
    (folder / '3.orbax-checkpoint-tmp').mkdir(parents=True)
    self.assertFalse(checkpoint.exists(self.workdir))
    self.save({7: 0.5})
    self.assertTrue(checkpoint.exists(self.workdir))

  def test_folder_without_checkpoints(self):
    with self.assertRaisesRegex(UserError, 'holds no checkpoint'):
      checkpoint.load(self.workdir / 'none')
    (self.workdir / 'checkpoints').mkdir()
    with self.assertRaisesRegex(UserError, 'no finished checkpoint'):
      checkpoint.load(self.workdir)
