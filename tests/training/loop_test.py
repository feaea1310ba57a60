"""The loop's guards, which no ordinary run shows."""

import contextlib
import fcntl
import io
import itertools
import json
import pathlib
import shutil
import signal
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import cnn256, debug
from carvana_jax.datasets import input_pipeline, prepare
from carvana_jax.models import frozen_variables
from carvana_jax.parallel import devices, processes
from carvana_jax.system.errors import Interrupted, UserError
from carvana_jax.training import (
  checkpoint,
  epoch,
  loop,
  losses,
  saved_steps,
  stopping,
  trained_run,
)
from carvana_jax.training.validation import Validation
from tests.helpers import numbered


class LoopTest(chex.TestCase):
  """Runs of three steps an epoch on plain pictures, with tampered numbers."""

  def setUp(self):
    super().setUp()
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.workdir = folder / 'run'
    builder = numbered.prepare(folder / 'data')
    self.enterContext(mock.patch.object(prepare, 'dataset', lambda *_: builder))
    self.config = debug.get_config()
    self.config.data.data_dir = str(folder)
    self.config.model.levels = 1
    self.config.train.batch_size = 4
    self.config.train.picture_epochs = 0

  def train(self):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
      loop.train(self.config, self.workdir)
    return output.getvalue()

  def epochs(self):
    lines = (self.workdir / 'metrics.jsonl').read_text().splitlines()
    return [json.loads(line)['epoch'] for line in lines]


class FullSizeTest(LoopTest):
  def test_is_left_for_the_evaluation(self):
    self.config.train.epochs = 1
    asked, builder = [], prepare.dataset()

    def dataset(_, size, *rest):
      asked.append(size)
      return builder

    with mock.patch.object(prepare, 'dataset', dataset):
      self.train()
    self.assertEqual(asked, [self.config.data.size])

  def test_what_is_none_is_refused_before_anything_is_prepared(self):
    self.config.data.full_size = 'large'
    with (
      mock.patch.object(
        prepare, 'dataset', mock.Mock(side_effect=AssertionError)
      ),
      self.assertRaisesRegex(UserError, "'large' is not HEIGHTxWIDTH"),
    ):
      self.train()


class SkippedTest(LoopTest):
  """An example's pictures hold its number; the loss of some is not finite."""

  def setUp(self):
    super().setUp()
    self.config.train.update(loss='bad', max_skipped=2)
    self.enterContext(mock.patch.dict(losses._LOSSES, bad=self.loss))
    self.least_bad = 9  # only in the training split

  def loss(self, logits, target):
    bad = 255 * target.mean((1, 2)) > self.least_bad - 0.5
    return jnp.where(bad, jnp.nan, losses.bce_dice(logits, target))

  def lines(self):
    lines = (self.workdir / 'metrics.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]

  def test_a_bad_batch_is_counted_and_left_out(self):
    # One step of the three of each epoch, never two in a row.
    self.train()
    self.assertEqual([line['train/skipped'] for line in self.lines()], [1, 1])
    for line in self.lines():
      self.assertTrue(np.isfinite(list(line.values())).all())
    chex.assert_tree_all_finite(trained_run.load(self.workdir).variables)

  def test_too_many_in_a_row_end_the_run_and_name_the_files(self):
    self.least_bad = 0
    self.config.train.max_skipped = 4  # the first of the second epoch
    builder = prepare.dataset()
    chosen, _ = input_pipeline.plan(3, examples=10, batch_size=4, seed=0)
    rows = builder.as_data_source('train')
    files = ', '.join(rows[int(i)]['filename'].decode() for i in chosen)
    with self.assertRaisesRegex(
      UserError, f'in 4 steps in a row, .* step 4 on {files}; choose another'
    ) as caught:
      self.train()
    self.assertNotIn('\n', str(caught.exception))
    (line,) = self.lines()
    self.assertEqual(line['train/skipped'], 3)
    chex.assert_tree_all_finite(trained_run.load(self.workdir).variables)
    # Started again, it goes on from the third step and counts that row on.
    with self.assertRaisesRegex(UserError, 'in 4 steps in a row, .* step 4 on'):
      self.train()


class SeveralProcessesTest(LoopTest):
  def test_other_flags_in_one_are_refused(self):
    for field, value in (
      ('train.epochs', 9),
      ('train.max_minutes', 1.0),
    ):
      config = self.config.copy_and_resolve_references()
      config.train[field.partition('.')[2]] = value
      with (
        mock.patch.object(
          processes,
          'gather',
          lambda own, config=config: [
            own,
            loop._compared(config, self.data()),
          ],
        ),
        self.assertRaisesRegex(
          UserError, f'config.{field} is {value} in process 1 .* same code'
        ),
      ):
        loop._refuse_differing(self.config, self.data())

  def data(self):
    return input_pipeline.RunData.open(prepare.dataset(), self.config)


class FolderTest(LoopTest):
  """A run's folder belongs to one process, and survives damage."""

  def test_a_second_process_is_refused(self):
    self.workdir.mkdir()
    # A file that is opened again is locked as by another process.
    with (self.workdir / 'lock').open('w') as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      with self.assertRaisesRegex(
        UserError, f'another process is training in {self.workdir}; .*--workdir'
      ):
        self.train()
    names = [path.name for path in self.workdir.iterdir()]
    self.assertEqual(names, ['lock'])

  def test_it_is_locked_while_a_run_goes_on_and_can_be_read(self):
    original, seen = Validation.scores, []

    def scores(validation, variables):
      with (
        (self.workdir / 'lock').open('w') as file,
        self.assertRaises(BlockingIOError),
      ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      if saved_steps.exists(self.workdir):
        seen.append(trained_run.load(self.workdir).step)
      return original(validation, variables)

    self.config.train.epochs = 3
    with mock.patch.object(Validation, 'scores', scores):
      self.train()
    self.assertNotEmpty(seen)

  def test_goes_on_from_the_checkpoint_before_a_damaged_one(self):
    self.config.train.epochs = 2
    self.train()
    whole = trained_run.load(self.workdir).step
    self.assertEqual(self.epochs(), [1, 2])
    (self.workdir / 'checkpoints' / '6' / 'metrics' / 'metrics').write_text('')
    output = self.train()
    self.assertIn('going on from step 3', output)
    self.assertEqual(self.epochs(), [1, 2])
    self.assertEqual(trained_run.load(self.workdir).step, whole)


class InterruptedTest(LoopTest):
  """An interrupted run ends as one that was not, to the last bit."""

  def setUp(self):
    super().setUp()
    self.config.train.update(epochs=3, picture_epochs=1)

  @contextlib.contextmanager
  def interrupted(self, looks):
    """SIGTERM comes after so many looks for it; each step has one."""
    count = itertools.count()
    received = property(
      lambda _: signal.SIGTERM * (next(count) >= looks), lambda *_: None
    )
    with (
      mock.patch.object(stopping.StopSignal, 'received', received, create=True),
      self.assertRaises(Interrupted) as end,
    ):
      yield
    self.assertEqual(end.exception.args, (signal.SIGTERM,))

  def found(self):
    """All that a run leaves but for times."""
    lines = (self.workdir / 'metrics.jsonl').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
      for name in ('images_per_second', 'input_wait', 'train_seconds'):
        del record[name]
    pictures = sorted((self.workdir / 'pictures').iterdir())
    with checkpoint.Checkpoints(self.workdir) as checkpoints:
      best = checkpoints.best_step()
    return {
      'records': records,
      'pictures': {path.name: path.read_bytes() for path in pictures},
      'best': best,
      'variables': jax.tree.map(
        np.asarray, trained_run.load(self.workdir).variables
      ),
    }

  def test_ends_as_one_that_was_not(self):
    self.train()
    whole = self.found()
    epochs = [f'epoch_00{epoch}.png' for epoch in range(4)]
    self.assertEqual(list(whole['pictures']), epochs)
    shutil.rmtree(self.workdir)
    # After the first step, at an epoch's end, in the middle of the next.
    for looks, step in (0, 1), (2, 3), (1, 5):
      with self.interrupted(looks):
        self.train()
      with checkpoint.Checkpoints(self.workdir) as checkpoints:
        self.assertEqual(checkpoints.latest_step(), step)
    self.train()
    chex.assert_trees_all_equal(self.found(), whole)

  def test_share_of_the_time_that_was_waited_for_batches(self):
    """By a clock on which a step takes 3 s, a batch 1 s and the first 5 s.

    That of the picture before the first step takes no time.
    """
    clock, batch_seconds = (
      mock.Mock(now=0),
      itertools.chain([0, 5], itertools.repeat(1)),
    )
    clock.monotonic = lambda: clock.now
    to_devices, train_step = devices.to_devices, devices.train_step

    def slow_batches(batches, **options):
      for batch in to_devices(batches, **options):
        clock.now += next(batch_seconds)
        yield batch

    def slow_step(step):
      mapped = train_step(step)

      def run(*arguments):
        clock.now += 3
        return mapped(*arguments)

      return run

    for module in (loop, epoch):
      self.enterContext(mock.patch.object(module, 'time', clock))
    self.enterContext(mock.patch.object(devices, 'to_devices', slow_batches))
    self.enterContext(mock.patch.object(devices, 'train_step', slow_step))
    with self.interrupted(0):  # after the first step
      self.train()
    self.train()
    lines = (self.workdir / 'metrics.jsonl').read_text().splitlines()
    shares = [json.loads(line)['input_wait'] for line in lines]
    self.assertEqual(shares, [7 / 16, 3 / 12, 3 / 12])

  def test_a_run_out_of_time_can_go_on(self):
    """What it told of its last epoch is told again at that epoch's end."""
    # The part of an epoch would be the best.
    dice = {1: 0.9, 3: 0.5, 6: 0.6, 9: 0.4}
    original = checkpoint.Checkpoints.save

    def save(checkpoints, state, notes, score):
      del score
      original(checkpoints, state, notes, dice[int(state.step)])

    self.enterContext(mock.patch.object(checkpoint.Checkpoints, 'save', save))
    self.train()
    whole = self.found()
    shutil.rmtree(self.workdir)
    self.config.train.max_minutes = 1e-9
    self.train()
    self.assertEqual(self.epochs(), [1])
    self.config.train.max_minutes = 0.0
    self.train()
    chex.assert_trees_all_equal(self.found(), whole)


class FrozenTest(LoopTest):
  def test_survives_a_stop_and_a_start(self):
    self.config.model = cnn256.get_config().model
    self.config.model.update(widths=(4,), kernels=(3,), standardize=True)
    self.config.train.update(max_minutes=1e-9, monitor='loss')
    self.train()
    first = trained_run.load(self.workdir).variables['input']
    # The training pictures' pixels are 0 to 9.
    self.assertAlmostEqual(float(first['mean'][0]), 4.5 / 255, 6)
    self.config.train.max_minutes = 0.0
    with mock.patch.object(frozen_variables, 'values') as values:
      self.train()
    values.assert_not_called()
    run = trained_run.load(self.workdir)
    self.assertGreater(run.step, 1)
    chex.assert_trees_all_equal(run.variables['input'], first)


class EarlyStoppingTest(LoopTest):
  @parameterized.parameters('dice', 'loss')
  def test_stops_when_patience_is_over_and_the_best_is_used(self, monitor):
    # The second epoch is the best by either number, and never equalled.
    by_epoch = {'dice': [0.5, 0.8, 0.8, 0.7, 0.9], 'loss': [5, 2, 2, 3, 1]}
    numbers = {name: iter(values) for name, values in by_epoch.items()}
    fixed = {'iou': 0.0, 'accuracy': 0.0}

    def scores(validation, variables):
      del validation, variables
      return fixed | {name: next(values) for name, values in numbers.items()}

    self.config.train.update(epochs=5, patience=2, monitor=monitor)
    with mock.patch.object(Validation, 'scores', scores):
      output = self.train()
      self.assertIn(
        f'stopped: 2 epochs without a better validation {monitor}; step 6 is '
        'the best',
        output,
      )
      self.assertEqual(self.epochs(), [1, 2, 3, 4])
      self.assertEqual(trained_run.load(self.workdir).step, 6)
      # Started again, it knows that it is over.
      self.assertIn('stopped: 2 epochs', self.train())
    self.assertEqual(self.epochs(), [1, 2, 3, 4])

  def test_without_patience_all_epochs_are_made(self):
    self.config.train.epochs = 3
    worse = iter([0.9, 0.5, 0.4])
    scores = lambda *_: dict.fromkeys(
      ('loss', 'dice', 'iou', 'accuracy'), next(worse)
    )
    with mock.patch.object(Validation, 'scores', scores):
      self.train()
    self.assertEqual(self.epochs(), [1, 2, 3])
    self.assertEqual(trained_run.load(self.workdir).step, 3)
