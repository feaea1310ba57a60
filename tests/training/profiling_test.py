"""A trace of training steps, and what is left of it in a short run."""

import contextlib
import io
import pathlib
import tempfile
from unittest import mock

import chex
import jax
import numpy as np

from carvana_jax.training import loop, profiling, trained_run
from tests.training import loop_test


def traced_steps(folder):
  """The numbers of the steps that the only trace in a folder names."""
  (path,) = folder.glob('plugins/profile/*/*.xplane.pb')
  data = jax.profiler.ProfileData.from_file(str(path))
  return sorted(
    dict(event.stats)['step_num']
    for plane in data.planes
    for line in plane.lines
    for event in line.events
    if event.name == 'train'
  )


class TracedTest(chex.TestCase):
  """With a step that adds one."""

  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(folder) / 'profile'
    self.add_one = jax.jit(lambda state: (state + 1, {'loss': state}))

  def train(self, steps, count, first=0):
    output = io.StringIO()
    with (
      contextlib.redirect_stdout(output),
      profiling.traced(self.add_one, count, self.folder, first) as step,
    ):
      state = np.float32(0)
      for _ in range(steps):
        state, _ = step(state)
    self.assertEqual(state, steps)
    return output.getvalue()

  def test_steps_after_the_first_ones_of_this_start(self):
    output = self.train(10, 2, first=100)
    self.assertIn(f'a trace of steps 106 to 107 is in {self.folder};', output)
    self.assertEqual(traced_steps(self.folder), [106, 107])
    (trace,) = self.folder.glob('plugins/profile/*/perfetto_trace.json.gz')
    self.assertGreater(trace.stat().st_size, 0)

  def test_a_run_that_ends_meanwhile(self):
    output = self.train(7, 20)
    self.assertIn('a trace of steps 6 to 7 is in', output)
    self.assertEqual(traced_steps(self.folder), [6, 7])

  def test_a_step_that_fails_ends_the_trace(self):
    with (
      self.assertRaisesRegex(ValueError, 'eighth'),
      profiling.traced(self.add_one, 20, self.folder, 0) as step,
    ):
      state = np.float32(0)
      for _ in range(7):
        state, _ = step(state)
      raise ValueError('eighth')
    self.assertEqual(traced_steps(self.folder), [6, 7])

  def test_a_run_that_ends_before(self):
    self.assertIn('training ended before step 6', self.train(3, 2))
    self.assertFalse(self.folder.exists())

  def test_without_a_trace_the_step_stays_what_it_is(self):
    with profiling.traced(self.add_one, 0, self.folder, 0) as step:
      self.assertIs(step, self.add_one)
    with (
      mock.patch.object(profiling.processes, 'is_first', lambda: False),
      profiling.traced(self.add_one, 2, self.folder, 0) as step,
    ):
      self.assertIs(step, self.add_one)


class RunTest(loop_test.LoopTest):
  def test_the_network_is_that_of_a_run_without_trace(self):
    self.config.train.epochs = 3  # of three steps
    self.train()
    expected = trained_run.load(self.workdir).variables
    folder = self.workdir.with_name('traced')
    with contextlib.redirect_stdout(io.StringIO()) as output:
      loop.train(self.config, folder, profile=2)
    self.assertIn('a trace of steps 6 to 7 is in', output.getvalue())
    self.assertEqual(traced_steps(folder / 'profile'), [6, 7])
    chex.assert_trees_all_equal(trained_run.load(folder).variables, expected)
