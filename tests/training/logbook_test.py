"""Records of a run that is cut off and goes on hold every step once."""

import math
import pathlib
import tempfile
import time
from unittest import mock

import chex
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import (
  EventAccumulator,
)

from benchmarks.frameworks.host_tensorflow import tf
from carvana_jax.datasets import images
from carvana_jax.system.errors import UserError
from carvana_jax.training import logbook

SCALARS = {'train/loss': 0.1, 'epoch': 7, 'nan': math.nan}
STRIPS = np.random.default_rng(0).integers(
  256, size=(2, 4, 9, 3), dtype=np.uint8
)


def write_with_tensorflow(folder, steps):
  """Writes scalars and pictures of steps with tf.summary; returns the path."""
  board = tf.summary.create_file_writer(str(folder))
  for step in steps:
    with board.as_default(step):
      for name, value in SCALARS.items():
        tf.summary.scalar(name, value)
      tf.summary.image('input, target, prediction', STRIPS, max_outputs=99)
  board.close()
  (path,) = folder.iterdir()
  return path


def events_of(path):
  records, whole = logbook.read_records(path)
  assert whole
  return [tf.compat.v1.Event.FromString(record) for record in records]


class TensorBoardTest(chex.TestCase):
  """Events are those of tf.summary, and TensorBoard reads them."""

  def setUp(self):
    super().setUp()
    root = self.enterContext(tempfile.TemporaryDirectory())
    self.workdir = pathlib.Path(root)
    self.board = self.workdir / 'tensorboard'

  def write(self, first_step, steps):
    with logbook.Logbook(self.workdir, first_step) as book:
      for step in steps:
        book.scalars(step, SCALARS)
        book.pictures(step, step, STRIPS)

  def test_as_of_tensorflow(self):
    self.write(0, [3, 6])
    (path,) = self.board.iterdir()
    other = write_with_tensorflow(self.workdir / 'other', [3, 6])
    ours, expected = events_of(path), events_of(other)
    self.assertEqual(expected[0].file_version, ours[0].file_version)
    for event in (*ours, *expected):
      self.assertBetween(event.wall_time, time.time() - 60, time.time())
      event.ClearField('wall_time')
      # The PNGs are made by other encoders.
      for value in event.summary.value:
        strings = value.tensor.string_val
        strings[2:] = [images.decode_photo(x).tobytes() for x in strings[2:]]
    self.assertEqual(ours[1:], expected[1:])

  def test_read_by_tensorboard(self):
    self.write(0, [3, 6])
    accumulator = EventAccumulator(str(self.board)).Reload()
    read = lambda tag: [
      (event.step, event.tensor_proto) for event in accumulator.Tensors(tag)
    ]
    self.assertEqual(
      accumulator.SummaryMetadata('epoch').plugin_data.plugin_name, 'scalars'
    )
    losses = [(step, tf.make_ndarray(x)) for step, x in read('train/loss')]
    self.assertEqual(losses, [(3, np.float32(0.1)), (6, np.float32(0.1))])
    (step, pictures), _ = read('input, target, prediction')
    width, height, *pngs = pictures.string_val
    self.assertEqual((step, width, height), (3, b'9', b'4'))
    for png, strip in zip(pngs, STRIPS, strict=True):
      np.testing.assert_array_equal(images.decode_photo(png), strip)

  def test_goes_on_from_a_file_of_tensorflow(self):
    path = write_with_tensorflow(self.board, [3, 6, 9])
    path = path.rename(path.with_name('events.out.tfevents.1700000000.host.v2'))
    before = events_of(path)
    path.write_bytes(path.read_bytes()[:-5])
    self.write(6, [9])
    # Those of three steps follow the file's version.
    self.assertEqual(events_of(path), before[: 1 + 2 * len(before[1:]) // 3])
    (later,) = set(self.board.iterdir()) - {path}
    self.assertGreater(later.name, path.name)  # in TensorBoard's order
    accumulator = EventAccumulator(str(self.board)).Reload()
    steps = [event.step for event in accumulator.Tensors('train/loss')]
    self.assertEqual(steps, [3, 6, 9])


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
      for event in events_of(path):
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

  def test_pictures_before_the_first_step_are_superseded(self):
    """Those of a run that was cut off before its first checkpoint."""
    for shade in (1, 2):
      with logbook.Logbook(self.workdir, -1) as book:
        book.pictures(0, 0, np.full((1, 2, 2, 3), shade, np.uint8))
    found = [
      (event.step, value.tensor.string_val[2])
      for path in sorted(self.board.iterdir())
      for event in events_of(path)
      for value in event.summary.value
    ]
    ((step, png),) = found
    self.assertEqual(step, 0)
    self.assertEqual(images.decode_photo(png).max(), 2)
    self.write(0, [3], loss=1.0)
    self.assertEqual({step for step, *_ in self.events()}, {0, 3})

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
