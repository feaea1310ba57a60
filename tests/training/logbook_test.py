"""Records of a run that is cut off and goes on hold every step once."""

import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np

from carvana_jax.system.errors import UserError
from carvana_jax.system.host_tensorflow import tf
from carvana_jax.training import logbook


class GoingOnTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = self.enterContext(tempfile.TemporaryDirectory())
    self.workdir = pathlib.Path(root)
    self.board = self.workdir / 'tensorboard'

  def write(self, first_step, steps, loss):
    with logbook.Logbook(self.workdir, first_step) as book:
      for step in steps:
        book.scalars(step, {'loss': loss})
        book.pictures(step, step, np.zeros((1, 2, 2, 3), np.uint8))

  def events(self):
    """(step, tag, loss) of everything that TensorBoard would show."""
    found = []
    for path in sorted(self.board.iterdir()):
      for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
          array = tf.make_ndarray(value.tensor)
          loss = float(array) if value.tag == 'loss' else None
          found.append((event.step, value.tag, loss))
    return sorted(found, key=lambda event: event[:2])

  def test_steps_after_the_checkpoint_are_superseded(self):
    self.write(0, [3, 6, 9], loss=1.0)
    self.write(6, [9, 12], loss=2.0)
    expected = {3: 1.0, 6: 1.0, 9: 2.0, 12: 2.0}
    losses = [(s, loss) for s, tag, loss in self.events() if tag == 'loss']
    self.assertEqual(losses, list(expected.items()))
    pictures = [step for step, tag, _ in self.events() if tag != 'loss']
    self.assertEqual(pictures, list(expected))

  def test_an_event_that_was_cut_off_is_dropped(self):
    self.write(0, [3, 6], loss=1.0)
    (path,) = self.board.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    self.write(3, [6], loss=2.0)
    losses = [(s, loss) for s, tag, loss in self.events() if tag == 'loss']
    self.assertEqual(losses, [(3, 1.0), (6, 2.0)])

  def test_another_log_is_another_writer(self):
    calls = []

    class Other(logbook.Writer):
      def scalars(self, step, values):
        calls.append((step, values))

    writers = (*logbook.WRITERS, Other)
    with mock.patch.object(logbook, 'WRITERS', writers):
      self.write(0, [3, 6], loss=1.0)
    self.assertEqual(calls, [(3, {'loss': 1.0}), (6, {'loss': 1.0})])

  def test_a_damaged_line_is_named(self):
    self.write(0, [3], loss=1.0)
    path = self.workdir / 'metrics.jsonl'
    path.write_text(f'{path.read_text()}no number\n')
    before = path.read_bytes()
    with self.assertRaisesRegex(UserError, f'line 2 of {path} is damaged'):
      logbook.Logbook(self.workdir, 3)
    self.assertEqual(path.read_bytes(), before)

  def test_files_stay_as_they_are_if_nothing_is_dropped(self):
    self.write(0, [3], loss=1.0)
    (path,) = self.board.iterdir()
    before = path.stat().st_ino
    self.write(3, [6], loss=1.0)
    self.assertEqual(path.stat().st_ino, before)
