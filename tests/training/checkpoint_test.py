"""Checkpoints: restored bit by bit, the best kept, errors that help."""

import collections
import errno
import functools
import itertools
import math
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl.testing import parameterized

from carvana_jax import models
from carvana_jax.configs import debug
from carvana_jax.parallel import devices
from carvana_jax.system import checksums
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  checkpoint,
  saved_steps,
  train_state,
  trained_run,
)
from carvana_jax.training.optimizer import make_optimizer
from tests.helpers import commands, steps_on_devices


def creator(config):
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 10)
  return train_state.creator(config, model, optimizer)


@functools.cache
def first():
  """The function that makes the first state of a small run, and that state."""
  create = creator(small_config())
  return create, devices.create(create)


def small_config():
  config = debug.get_config()
  config.model.update(levels=2, encoder_convs=1, decoder_convs=1)
  return config


def plain(state):
  """NumPy arrays."""
  return jax.tree.map(np.asarray, state)


class SavingTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.workdir = pathlib.Path(folder.name)
    self.config = small_config()
    self.create, self.state = first()
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
        state = jax.device_put(state, devices.replicated())
        checkpoints.save(state, self.notes, dice)


class CheckpointTest(SavingTest):
  def test_restores_bit_by_bit(self):
    self.save({7: 0.5})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.latest_step(), 7)
    restored = checkpoint.read_state(
      self.workdir, 7, devices.abstract(self.create)
    )
    notes = checkpoint.read_notes(self.workdir, 7)
    self.assertEqual(notes['train_seconds'], 1.5)
    expected = self.state.replace(
      step=jnp.int32(7),
      params=jax.tree.map(lambda p: p + 7, self.state.params),
    )
    chex.assert_trees_all_equal(plain(restored), plain(expected))
    self.assertFalse(restored.step.weak_type)
    for leaf in jax.tree.leaves(restored):
      self.assertEqual(leaf.sharding, devices.replicated())

  def test_keeps_the_last_two_and_the_best(self):
    self.save({1: 0.5, 2: 0.9, 3: 0.6, 4: 0.7, 5: 0.8})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(
        (checkpoints.latest_step(), checkpoints.best_step()), (5, 2)
      )
    kept = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(kept, {'2', '4', '5'})

  def test_of_equal_scores_the_first_is_the_best(self):
    self.save({1: 0.0, 2: 0.7, 3: 0.7, 4: 0.7, 5: 0.0})
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.best_step(), 2)
    kept = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(kept, {'2', '4', '5'})

  def test_those_without_a_score_are_kept_while_they_are_the_latest(self):
    """So what is kept does not tell that a run was interrupted."""
    none = -math.inf
    self.save({1: 0.9, 2: 0.5, 3: none, 4: none})
    kept = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(kept, {'1', '2', '4'})
    self.save({5: 0.4})
    kept = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(kept, {'1', '2', '5'})

  def test_loads_the_best_from_the_folder_alone(self):
    self.save({1: 0.5, 2: 0.9, 3: 0.6})
    run = trained_run.load(self.workdir)
    self.assertEqual(run.step, 2)
    self.assertEqual(run.config.data.size, self.config.data.size)
    image = jnp.zeros((2, 64, 96, 3))
    logits = run.model.apply(run.variables, image, train=False)
    chex.assert_shape(logits, (2, 64, 96))

  @parameterized.parameters(0.0, 0.98)
  def test_eval_variables_are_those_of_the_whole_state(self, decay):
    self.config.train.average_decay = decay
    self.create = creator(self.config)
    self.state = devices.create(self.create)
    self.save({7: 0.5})
    like = devices.abstract(self.create)
    whole = checkpoint.read_state(self.workdir, 7, like).eval_variables
    found = checkpoint.read_eval_variables(self.workdir, 7, like)
    chex.assert_trees_all_equal(plain(found), plain(whole))
    for leaf in jax.tree.leaves(found):
      self.assertEqual(leaf.sharding, devices.replicated())

  def test_run_of_an_older_version(self):
    self.save({1: 0.5})
    path = self.workdir / 'checkpoints' / '1' / 'metrics' / 'metrics'
    self.assertIn('score', path.read_text())
    path.write_text('{"dice": 0.5}')
    shutil.rmtree(self.workdir / 'checksums')  # it had none
    with self.assertRaisesRegex(UserError, 'older version'):
      trained_run.load(self.workdir)

  def test_a_run_from_before_some_fields(self):
    del self.notes['config']['data']['validation_folds']
    del self.notes['config']['data']['coarse']
    del self.notes['config']['optimizer']['warmup']
    self.save({1: 0.5})
    run = trained_run.load(self.workdir)
    self.assertEqual(run.config.data.validation_folds, (1,))
    self.assertEqual(run.config.data.coarse, '')
    self.assertEqual(run.config.optimizer.warmup, 0.3)

  def test_exists_when_one_is_whole(self):
    self.assertFalse(saved_steps.exists(self.workdir))
    folder = self.workdir / 'checkpoints'
    (folder / '3.orbax-checkpoint-tmp').mkdir(parents=True)
    self.assertFalse(saved_steps.exists(self.workdir))
    self.save({7: 0.5})
    self.assertTrue(saved_steps.exists(self.workdir))

  def test_folder_without_checkpoints(self):
    with self.assertRaisesRegex(UserError, 'holds no checkpoint'):
      trained_run.load(self.workdir / 'none')
    (self.workdir / 'checkpoints').mkdir()
    with self.assertRaisesRegex(UserError, 'no finished checkpoint'):
      trained_run.load(self.workdir)


class OtherCodeTest(SavingTest):
  """A state that the code no longer makes is refused in one line."""

  def setUp(self):
    super().setUp()
    self.save({7: 0.5})

  def message(self, like):
    with self.assertRaises(UserError) as caught:
      checkpoint.read_state(self.workdir, 7, like)
    text = str(caught.exception)
    self.assertNotIn('\n', text)
    self.assertStartsWith(text, f'{self.workdir}/checkpoints/7 is not what ')
    self.assertIn(f'the commit named in {self.workdir}/starts.jsonl', text)
    return text

  def like(self, **changed):
    self.config.update_from_flattened_dict(changed)
    return devices.abstract(creator(self.config))

  def test_another_shape(self):
    text = self.message(self.like(**{'model.first_width': 8}))
    self.assertIn(
      'params/down0_conv0/bias: float32 [4] there, float32 [8] here; '
      'params/down0_conv0/kernel: float32 [3, 3, 3, 4] there, '
      'float32 [3, 3, 3, 8] here; ',
      text,
    )
    self.assertRegex(text, r'; \d+ more\. ')

  def test_another_type(self):
    like = devices.abstract(self.create)
    step = like.step.update(dtype=jnp.float32)
    text = self.message(like.replace(step=step))
    self.assertIn(': step: int32 [] there, float32 [] here. Check', text)

  def test_a_renamed_layer(self):
    like = devices.abstract(self.create)
    params = dict(like.params)
    params['encoder'] = params.pop('down0_conv0')
    text = self.message(like.replace(params=params))
    self.assertIn('params/encoder/bias: none there, float32 [4] here', text)
    self.assertIn('params/down0_conv0/bias: float32 [4] there, none', text)

  def test_another_optimizer(self):
    text = self.message(self.like(**{'optimizer.name': 'sgd'}))
    self.assertIn('opt_state/', text)

  @parameterized.parameters(
    ('model', 'first_width', 8), ('optimizer', 'name', 'sgd')
  )
  def test_load(self, section, field, value):
    self.notes['config'][section][field] = value
    self.save({8: 0.6})
    with self.assertRaisesRegex(UserError, 'checkpoints/8 is not what .* more'):
      trained_run.load(self.workdir)


class DevicesTest(chex.TestCase):
  def test_saved_on_4_goes_on_on_2_then_1_then_2(self):
    """As if it had never moved."""
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def arrays(number, devices):
      path = root / f'{number}.npz'
      subprocess.run(
        [sys.executable, '-m', 'tests.helpers.checkpoints_on_devices',
         str(devices), root / 'run', path],
        cwd=commands.ROOT, check=True,
        env=os.environ | {'XLA_FLAGS': commands.QUICK_TO_COMPILE},
      )  # fmt: skip
      with np.load(path) as file:
        found = dict(file)
      part = lambda word: {
        name.removeprefix(word): value
        for name, value in found.items()
        if name.startswith(word)
      }
      return part('before'), part('after')

    pairs = [arrays(*numbers) for numbers in enumerate((4, 2, 1, 2))]
    for (_, saved), (loaded, _) in itertools.pairwise(pairs):
      self.assertIn('.key', saved)
      chex.assert_trees_all_equal(saved, loaded)
    create, train_step = steps_on_devices.make_training()
    state = devices.create(create)
    batches = map(steps_on_devices.batch_of, range(steps_on_devices.STEPS))
    for batch in devices.to_devices(batches):
      state, _ = train_step(state, batch)
    unmoved, moved = steps_on_devices.arrays_of(state), pairs[-1][1]
    self.assertEqual(unmoved.keys(), moved.keys())
    self.assertEqual(moved['.step'], 4)
    for name, value in unmoved.items():
      np.testing.assert_allclose(
        moved[name], value, rtol=2e-3, atol=2e-5, err_msg=name
      )


class PickleTest(SavingTest):
  def test_nothing_is_unpickled_from_a_run(self):
    """Python tells its auditors of whatever a pickle looks up."""
    found, listening = [], False

    def listen(event, arguments):
      if listening and event == 'pickle.find_class':
        found.append(arguments)

    self.save({7: 0.5})
    sys.addaudithook(listen)
    listening = True
    trained_run.load(self.workdir)
    checkpoint.read_state(self.workdir, 7, devices.abstract(self.create))
    checkpoint.read_notes(self.workdir, 7)
    self.assertEqual(found, [])
    pickle.loads(pickle.dumps(collections.OrderedDict()))
    self.assertEqual(found, [('collections', 'OrderedDict')])
    listening = False


class KilledTest(SavingTest):
  """What a process that is killed in a save leaves is mended by the next."""

  def names(self, folder):
    return {path.name for path in (self.workdir / folder).iterdir()}

  def test_superseded_checkpoints_that_were_not_deleted(self):
    self.save({1: 0.5, 2: 0.9, 3: 0.6, 4: 0.7})
    self.assertEqual(self.names('checkpoints'), {'2', '3', '4'})
    folder = self.workdir / 'checkpoints'
    shutil.copytree(folder / '3', folder / '1')
    shutil.copytree(folder / '3', folder / 'superseded' / '0')
    (folder / 'superseded' / '0' / 'metrics' / 'metrics').unlink()
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(
        (checkpoints.latest_step(), checkpoints.best_step()), (4, 2)
      )
    self.assertEqual(self.names('checkpoints'), {'2', '3', '4'})

  def test_no_checkpoint_is_deleted_file_by_file(self):
    """While files are deleted, those of no number are."""
    self.save({1: 0.5, 2: 0.9})
    original, seen = shutil.rmtree, []

    def rmtree(path, **how):
      if any(pathlib.Path(path).glob('*')):
        seen.append(pathlib.Path(path).name)
      original(path, **how)

    with mock.patch.object(shutil, 'rmtree', rmtree):
      self.save({3: 0.6, 4: 0.7})
    self.assertEqual(set(seen), {'superseded'})

  def test_checksums_that_were_not_recorded(self):
    self.save({1: 0.5, 2: 0.9})
    path = self.workdir / 'checksums' / '2.json'
    before = path.read_text()
    path.rename(path.with_name('0.json'))
    with checkpoint.Checkpoints(self.workdir):
      pass
    self.assertEqual(self.names('checksums'), {'1.json', '2.json'})
    self.assertEqual(path.read_text(), before)


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
      saved_steps.set_aside_damaged(self.workdir)
    self.assertRegex(logs.output[0], 'checkpoints/3 is not used: state/.* is')
    self.assertIn(str(self.workdir / 'damaged' / '3'), logs.output[1])
    self.assertTrue((self.workdir / 'damaged' / '3' / 'state').is_dir())
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      self.assertEqual(checkpoints.latest_step(), 2)
    checkpoint.read_state(self.workdir, 2, devices.abstract(self.create))
    self.save({3: 0.7})  # made again, and whole
    with self.assertNoLogs('absl', 'WARNING'):
      saved_steps.set_aside_damaged(self.workdir)

  @parameterized.parameters(flip_a_bit, empty)
  def test_load_uses_the_best_of_the_others(self, hurt):
    hurt(self.workdir / 'checkpoints' / '2' / 'metrics' / 'metrics')
    with self.assertLogs('absl', 'WARNING') as logs:
      self.assertEqual(trained_run.load(self.workdir).step, 3)
    self.assertIn('checkpoints/2 is not used', logs.output[0])
    # Only the process that trains may move it.
    self.assertEqual(self.steps(), {'2', '3'})

  def test_all_are_damaged(self):
    for step in ('2', '3'):
      shutil.rmtree(self.workdir / 'checkpoints' / step)
      (self.workdir / 'checkpoints' / step).mkdir()
    for use in (trained_run.load, saved_steps.set_aside_damaged):
      with self.assertRaisesRegex(UserError, 'all checkpoints in .* damaged'):
        use(self.workdir)
    self.assertEqual(self.steps(), {'2', '3'})

  def test_without_checksums_there_is_no_check(self):
    shutil.rmtree(self.workdir / 'checksums')
    with self.assertNoLogs('absl', 'WARNING'):
      self.assertEqual(trained_run.load(self.workdir).step, 2)

  def test_damaged_checksums(self):
    (self.workdir / 'checksums' / '2.json').write_text('{')
    with self.assertLogs('absl', 'WARNING'):
      self.assertEqual(trained_run.load(self.workdir).step, 3)

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
    self.assertEqual(trained_run.load(self.workdir).step, 1)

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
    self.assertEqual(trained_run.load(self.workdir).step, 1)
    self.save({2: 0.9})
    names = {path.name for path in (self.workdir / 'checkpoints').iterdir()}
    self.assertEqual(names, {'1', '2'})  # nothing is left of the failure
