"""Checkpoints: restored bit by bit, the best kept, errors that help."""

import collections
import errno
import pathlib
import shutil
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl.testing import parameterized

from carvana_jax import checkpoint, checksums, models, parallel, train_state
from carvana_jax.errors import UserError
from configs import debug


def new_state(config):
  model = models.build(config.model)
  optimizer = train_state.make_optimizer(config.optimizer, 10)
  create = checkpoint.state_creator(config, model, optimizer)
  return create, parallel.create(create)


def plain(state):
  """NumPy arrays."""
  return jax.tree.map(np.asarray, state)


class SavingTest(chex.TestCase):
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


class CheckpointTest(SavingTest):
  def test_restores_bit_by_bit(self):
    self.save({7: 0.5})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.latest, 7)
      restored = checkpoints.state(7, parallel.abstract(self.create))
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
    shutil.rmtree(self.workdir / 'checksums')  # it had none
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


def flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def truncate(path):
  path.write_bytes(path.read_bytes()[:-1])


def empty(path):
  path.write_bytes(b'')


class DamageTest(SavingTest):
  """Step 2 is the best, 3 the latest; the files of a step are damaged."""

  def setUp(self):
    super().setUp()
    self.save({1: 0.5, 2: 0.9, 3: 0.6})
    self.assertEqual(self.steps(), {'2', '3'})

  def steps(self):
    return {path.name for path in (self.workdir / 'checkpoints').iterdir()}

  def files(self, step):
    folder = self.workdir / 'checkpoints' / step
    return [path for path in folder.rglob('*') if path.is_file()]

  @parameterized.parameters(flip_a_bit, truncate, empty, pathlib.Path.unlink)
  def test_any_file_of_the_latest(self, hurt):
    files = self.files('3')
    self.assertGreater(len(files), 5)
    folder = self.workdir / 'checkpoints' / '3'
    record = self.workdir / 'checksums' / '3.json'
    self.assertIsNone(checksums.damage(folder, record))
    for path in files:
      before = path.read_bytes()
      hurt(path)
      name = str(path.relative_to(folder))
      self.assertStartsWith(checksums.damage(folder, record), name)
      path.write_bytes(before)

  def test_the_one_before_is_the_latest(self):
    flip_a_bit(max(self.files('3'), key=lambda path: path.stat().st_size))
    with self.assertLogs('absl', 'WARNING') as logs:
      checkpoint.set_aside_damaged(self.workdir)
    self.assertRegex(logs.output[0], 'checkpoints/3 is not used: state/.* is')
    self.assertIn(str(self.workdir / 'damaged' / '3'), logs.output[1])
    self.assertTrue((self.workdir / 'damaged' / '3' / 'state').is_dir())
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.latest, 2)
      checkpoints.state(2, parallel.abstract(self.create))
    self.save({3: 0.7})  # made again, and whole
    with self.assertNoLogs('absl', 'WARNING'):
      checkpoint.set_aside_damaged(self.workdir)

  @parameterized.parameters(flip_a_bit, empty)
  def test_load_uses_the_best_of_the_others(self, hurt):
    hurt(self.workdir / 'checkpoints' / '2' / 'metrics' / 'metrics')
    with self.assertLogs('absl', 'WARNING') as logs:
      self.assertEqual(checkpoint.load(self.workdir).step, 3)
    self.assertIn('checkpoints/2 is not used', logs.output[0])
    # Only the process that trains may move it.
    self.assertEqual(self.steps(), {'2', '3'})

  def test_all_are_damaged(self):
    for step in ('2', '3'):
      shutil.rmtree(self.workdir / 'checkpoints' / step)
      (self.workdir / 'checkpoints' / step).mkdir()
    for use in (checkpoint.load, checkpoint.set_aside_damaged):
      with self.assertRaisesRegex(UserError, 'all checkpoints in .* damaged'):
        use(self.workdir)
    self.assertEqual(self.steps(), {'2', '3'})

  def test_without_checksums_there_is_no_check(self):
    shutil.rmtree(self.workdir / 'checksums')
    with self.assertNoLogs('absl', 'WARNING'):
      self.assertEqual(checkpoint.load(self.workdir).step, 2)

  def test_damaged_checksums(self):
    (self.workdir / 'checksums' / '2.json').write_text('{')
    with self.assertLogs('absl', 'WARNING'):
      self.assertEqual(checkpoint.load(self.workdir).step, 3)

  def test_checksums_are_those_of_the_checkpoints(self):
    records = (self.workdir / 'checksums').iterdir()
    self.assertEqual({path.stem for path in records}, self.steps())


class FullDiskTest(SavingTest):
  """The step before stays, and is named."""

  def setUp(self):
    super().setUp()
    self.save({1: 0.5})

  def test_too_little_room_before_a_save(self):
    usage = collections.namedtuple('usage', 'free')(10_000)
    with (
      mock.patch.object(shutil, 'disk_usage', return_value=usage),
      self.assertRaisesRegex(UserError, r'MB are needed, 0.0 MB are free'),
    ):
      self.save({2: 0.5})
    self.assertEqual(checkpoint.load(self.workdir).step, 1)

  @parameterized.parameters(
    OSError(errno.ENOSPC, 'No space left on device'),
    # As TensorStore says it.
    ValueError('RESOURCE_EXHAUSTED: Failed to write: No space left on device'),
  )
  def test_a_save_that_fails_in_the_background(self, error):
    with (
      mock.patch.object(
        ocp.CompositeCheckpointHandler, 'finalize', side_effect=error
      ),
      self.assertRaisesRegex(
        UserError,
        r'^step 2 could not be saved in .*/checkpoints \(No space left on '
        r'device\); make room there, .* goes on from step 1\.$',
      ),
    ):
      self.save({2: 0.9})
    self.assertEqual(checkpoint.load(self.workdir).step, 1)
    self.save({2: 0.9})
    names = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(names, {'1', '2'})  # nothing is left of the failure
