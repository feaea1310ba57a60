"""Killed runs end as undisturbed ones; what would differ is noticed."""

import contextlib
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import types
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from tensorboard.summary.writer.record_writer import RecordWriter

from benchmarks import kill, remains
from benchmarks.kill import Kill, Plan
from carvana_jax import models
from carvana_jax.configs import debug
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import checkpoint, logbook, run_folder, train_state
from carvana_jax.training.optimizer import make_optimizer
from tests.helpers import saved_run
from tests.helpers.commands import QUICK_TO_COMPILE, ROOT, environment

# Renders the data set; prints how many cars the next one would hold.
PREPARE = """
import sys
from benchmarks import kill
kill._prepare(sys.argv[1])
config = kill.studio_dataset_builder.Builder.builder_configs['64x96']
print(config.cars, config.unlabeled_cars)
"""


def write_records(path, records):
  with path.open('wb') as file:
    writer = RecordWriter(file)
    for record in records:
      writer.write(record)


class ShortTest(chex.TestCase):
  """Of a run that is killed twice; `main` on stand-ins."""

  def test_killed_after_one_checkpoint_and_while_the_next_is_written(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    # This process would take several times as long to render the cars, see
    # conftest.py.
    prepared = subprocess.run(
      [sys.executable, '-c', PREPARE, root / 'data'],
      cwd=ROOT, env=environment(2), stdout=subprocess.PIPE, text=True,
      check=True,
    )  # fmt: skip
    self.assertEqual(prepared.stdout.splitlines()[-1], '56 4')  # as ever
    # What takes long to compile, and epochs that add nothing here.
    settings = kill._SETTINGS | {
      'augment.rotation': 0,
      'augment.scale': 0,
      'augment.shift': 0,
      'model.levels': 2,
      'model.encoder_convs': 1,
      'model.decoder_convs': 1,
      'model.dropout_levels': (1,),
      'train.epochs': 3,
    }
    words = lambda name: kill.command(root / name, root / 'data', settings)
    with mock.patch.dict(os.environ, XLA_FLAGS=QUICK_TO_COMPILE):
      kill.undisturbed(words('alone'), root / 'alone.log')
      kills, failure = kill.survive(
        words('killed'),
        root / 'killed',
        root / 'killed.log',
        [Plan(0, 'renamed', 0), Plan(0, 'begun', 0.002)],
        signal.SIGKILL,
      )
    self.assertEqual(failure, '')
    self.assertEqual([found.at for found in kills], ['renamed', 'begun'])
    self.assertEqual([found.saved for found in kills], [6, 6])
    expected = remains.of(root / 'alone')
    for name in ('metrics.jsonl line 3', 'TensorBoard event 32', 'step 18 key',
                 'pictures/epoch_002.png', 'step 12 notes',
                 'evaluation/studio-test/images.csv'):  # fmt: skip
      self.assertIn(name, list(expected))
    found = remains.of(root / 'killed')
    self.assertEqual(remains.differences(expected, found), [])

  @parameterized.parameters(3, 2)
  def test_last_line_and_exit_code(self, identical):
    flags = types.SimpleNamespace(kills=3, signal='KILL', seed=0)
    kills = [Kill('begun', 1, 6, 0, True), Kill('any moment', 9, 12, 12, False)]
    output = io.StringIO()
    with (
      mock.patch.object(kill.flags, 'FLAGS', flags),
      mock.patch.object(kill, '_prepare'),
      mock.patch.object(kill, 'compare', return_value=(kills, identical)),
      contextlib.redirect_stdout(output),
    ):
      if identical == 3:
        kill.main()
      else:
        with self.assertRaisesRegex(SystemExit, '1'):
          kill.main()
    first, *kept, last = output.getvalue().splitlines()
    self.assertEqual(
      first,
      '2 kills: 1 aimed at a checkpoint, 1 with one half-written, 1 before the '
      'first',
    )
    self.assertEqual(last, f'{identical} of 3 identical')
    self.assertLen(kept, 3 - identical)
    for line in kept:
      folder = pathlib.Path(line.split()[-1])
      self.assertTrue(folder.is_dir())
      folder.rmdir()


# Ends after 0.4 s, or with an error if it was started before in that folder.
STAND_IN = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
if folder.exists() and sys.argv[2] == 'fails':
  sys.exit('cannot go on')
folder.mkdir(exist_ok=True)
time.sleep(0.2)
(folder / 'checksums').mkdir(exist_ok=True)
(folder / 'checksums' / '7.json').touch()
(folder / 'checkpoints' / '7').mkdir(parents=True, exist_ok=True)
(folder / 'metrics.jsonl').write_text('{"step": 7}\\n{"ste')
time.sleep(0.2)
"""


class SurviveTest(chex.TestCase):
  """With a stand-in for the command."""

  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.workdir, self.log = root / 'run', root / 'log'

  def survive(self, *plans, goes_on=True, number=signal.SIGKILL):
    words = [sys.executable, '-c', STAND_IN, str(self.workdir)]
    words += ['goes on' if goes_on else 'fails']
    return kill.survive(words, self.workdir, self.log, list(plans), number)

  def test_a_process_that_ended_before_is_killed_earlier(self):
    (found,), failure = self.survive(Plan(5.0, '', 0))
    self.assertEqual((found.at, failure), ('any moment', ''))
    self.assertLess(found.seconds, 1)
    # 5 s, 4 s, 3.2 s and so on did not hit.
    self.assertGreater(found.seconds, 0.8**12 * 5)

  @parameterized.parameters(signal.SIGKILL, signal.SIGTERM)
  def test_at_the_writing_of_a_checkpoint(self, number):
    kills, failure = self.survive(Plan(0, 'recorded', 0.1), number=number)
    self.assertEqual(failure, '')
    seconds = kills[0].seconds
    self.assertGreater(seconds, 0.3)
    self.assertEqual(kills, [Kill('recorded', seconds, 7, 7, False)])

  def test_a_second_kill_may_come_too_late(self):
    kills, failure = self.survive(Plan(0.1, '', 0), Plan(9, '', 0))
    self.assertLen(kills, 1)
    kills, failure = self.survive(Plan(0.1, '', 0), Plan(0.1, '', 0))
    self.assertLen(kills, 2)
    self.assertEqual(failure, '')

  def test_a_run_that_does_not_go_on(self):
    _, failure = self.survive(Plan(0.3, '', 0), goes_on=False)
    self.assertEqual(failure, 'exit code 1: cannot go on')
    with self.assertRaisesRegex(UserError, 'failed before its kill, see .*log'):
      self.survive(Plan(9, '', 0), goes_on=False)
    self.workdir.rename(self.workdir.with_name('before'))
    kills, failure = self.survive(
      Plan(0.3, '', 0), Plan(9, '', 0), goes_on=False
    )
    self.assertLen(kills, 1)
    self.assertEqual(failure, 'exit code 1: cannot go on')

  def test_every_third_trial_aims_at_a_checkpoint(self):
    rng = np.random.default_rng(0)
    course = kill.Course(first=10, end=20)
    plans = [kill.plans_of(trial, course, rng) for trial in range(300)]
    for trial, (first, *_) in enumerate(plans):
      self.assertEqual(bool(first.writing), trial % 3 == 0)
      self.assertBetween(first.seconds, 10, 20)
      self.assertBetween(first.delay, 0, 0.03)
    aims = {first.writing for first, *_ in plans}
    self.assertEqual(aims, {'', 'begun', 'renamed', 'recorded'})
    self.assertBetween(sum(len(found) > 1 for found in plans), 75, 125)

  def test_table(self):
    kills = [Kill('begun', 8.126, 30, 15, True), Kill('any', 1, 30, 30, False)]
    lines = kill.rows(7, kills, 'identical').splitlines()
    self.assertEqual(' '.join(lines[0].split()), '7 begun 8.13 30 15 yes')
    self.assertEqual(lines[1].split()[-2:], ['no', 'identical'])


class RemainsTest(chex.TestCase):
  """Two folders of one run; something is changed in the second."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.one = pathlib.Path(folder.name)
    saved_run.save(cls.one)
    run_folder.write_config(debug.get_config(), cls.one)
    with logbook.Logbook(cls.one, 0) as book:
      for step in (3, 6):
        book.scalars(step, {'loss': 0.5, 'train_seconds': step})
        book.pictures(step, step, np.zeros((1, 2, 2, 3), np.uint8))
    cls.expected = remains.of(cls.one)

  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.other = root / 'other'
    shutil.copytree(self.one, self.other)

  def differences(self):
    return remains.differences(self.expected, remains.of(self.other))

  def change_leaf(self, name, change):
    """Saves the other's state again after a change to one leaf."""
    config = debug.get_config()
    model = models.build(config.model)
    optimizer = make_optimizer(config.optimizer, 1)
    create = train_state.creator(config, model, optimizer)
    state = checkpoint.read_state(self.one, 0, devices.abstract(create))
    notes = checkpoint.read_notes(self.one, 0)

    def changed(path, leaf):
      here = jax.tree_util.keystr(path, simple=True, separator='/')
      return change(leaf) if here == name else leaf

    state = jax.tree_util.tree_map_with_path(changed, state)
    for folder in ('checkpoints', 'checksums'):
      shutil.rmtree(self.other / folder)
    with checkpoint.Checkpoints(self.other) as checkpoints:
      checkpoints.save(devices.replicate(state), notes, 0.5)

  def test_copies_are_equal(self):
    self.assertEqual(self.differences(), [])

  @parameterized.parameters(
    ('params/down0_conv0/kernel', lambda x: x.at[0, 0, 0, 0].multiply(1.01)),
    ('params/down0_conv0/kernel', lambda x: jnp.nextafter(x, 2)),
    ('opt_state/1/0/count', lambda x: x + 1),
    ('key', lambda x: x + 1),
  )
  def test_a_changed_leaf(self, name, change):
    self.change_leaf(name, change)
    self.assertEqual(self.differences(), [f'step 0 {name}'])

  def test_bits_are_compared_not_values(self):
    bits = lambda *values: remains._bits(jnp.float32(values))
    self.assertEqual(bits(jnp.nan, 1), bits(jnp.nan, 1))
    self.assertNotEqual(bits(0.0), bits(-0.0))
    self.assertNotEqual(bits(1), remains._bits(jnp.int32([1])))

  def test_lines_of_the_log(self):
    path = self.other / 'metrics.jsonl'
    first, second = path.read_text().splitlines(keepends=True)
    for text, expected in (
      (first + second.replace('"train_seconds": 6', '"train_seconds": 9'), []),
      (first + second + second, ['metrics.jsonl line 3']),
      (first, ['metrics.jsonl line 2']),
      (first + second.replace('0.5', '0.25'), ['metrics.jsonl line 2']),
      (first + second + '{"st', ['end of metrics.jsonl']),
    ):
      path.write_text(text)
      self.assertEqual(self.differences(), expected)

  def test_events(self):
    (path,) = (self.other / 'tensorboard').iterdir()
    records, _ = logbook.read_records(path)
    # The file's version; then loss, time and picture of both steps.
    self.assertLen(records, 7)
    without_time, missing, doubled = (
      [*records[:5], *records[6:]], records[:-1], [*records, records[-1]],
    )  # fmt: skip
    for kept, expected in (
      (without_time, []),
      (missing, ['TensorBoard event 4']),
      (doubled, ['TensorBoard event 5']),
      # Of another start, so in another file.
      (records[:3], ['TensorBoard event 2', 'TensorBoard event 3',
                     'TensorBoard event 4']),
    ):  # fmt: skip
      write_records(path, kept)
      self.assertEqual(self.differences(), expected)
    later = path.with_name(path.name.replace('tfevents.', 'tfevents.9'))
    kept = [records[0], *records[3:]]
    write_records(later, kept)
    self.assertEqual(self.differences(), [])

  def test_files(self):
    (self.other / 'pictures' / 'epoch_003.png').write_bytes(b'other')
    (self.other / 'pictures' / 'epoch_006.png').unlink()
    (self.other / '.config.json.0.tmp').touch()
    (self.other / 'starts.jsonl').touch()
    self.assertCountEqual(
      self.differences(),
      ['pictures/epoch_003.png', 'pictures/epoch_006.png',
       '.config.json.0.tmp'],
    )  # fmt: skip

  def test_leftovers_of_a_checkpoint(self):
    (self.other / 'checkpoints' / '3.orbax-checkpoint-tmp').mkdir()
    (self.other / 'checksums' / '3.json').touch()
    self.assertEqual(
      self.differences(), ['names in checkpoints', 'names in checksums']
    )
