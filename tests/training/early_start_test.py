"""The training step that is compiled while photos are prepared."""

from unittest import mock

import chex
import jax
import numpy as np

from carvana_jax.configs import debug
from carvana_jax.parallel import devices, processes
from carvana_jax.training import early_start, steps


class EarlyStartTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.config = debug.get_config()
    self.config.model.levels = 1
    self.config.train.update(batch_size=4, epochs=2)
    self.config.data.size = '32x48'
    self.traced = []
    make = steps.make_train_step

    def counting(*arguments):
      step = make(*arguments)

      def traced(state, batch):
        self.traced.append(batch['image'].shape)
        return step(state, batch)

      return traced

    self.enterContext(mock.patch.object(steps, 'make_train_step', counting))
    self.start = early_start.EarlyStart(self.config)

  def step(self, programs):
    """Makes a run's first step; returns its metrics."""
    rng = np.random.default_rng(0)
    batch = {
      'image': rng.integers(0, 256, (4, 32, 48, 3), np.uint8),
      'mask': rng.integers(0, 256, (4, 32, 48), np.uint8),
      'weight': np.ones(4, np.float32),
    }
    (batch,) = devices.to_devices([batch])
    state = devices.create(programs.create)
    return jax.device_get(programs.train_step(state, batch)[1])

  def test_the_run_gets_what_was_compiled(self):
    self.start.begin(10)  # three steps an epoch
    programs = self.start.programs(6)
    self.assertLen(self.traced, 1)
    metrics = self.step(programs)
    self.assertLen(self.traced, 1)
    # The step that was made meanwhile has left nothing behind.
    late = self.step(early_start.Programs(self.config, 6))
    chex.assert_trees_all_equal(metrics, late)

  def test_another_number_of_steps_is_compiled_anew(self):
    self.start.begin(10)
    programs = self.start.programs(8)
    self.assertEqual(programs.total_steps, 8)
    self.step(programs)
    self.start.programs(6)  # waits for the other
    self.assertLen(self.traced, 2)

  def test_nothing_begins_where_more_must_be_known(self):
    with mock.patch.object(processes, 'is_only', lambda: False):
      self.start.begin(10)
    self.config.train.init_from = 'runs/other'
    self.start.begin(10)
    self.assertEqual(self.start.programs(6).total_steps, 6)
    self.assertEmpty(self.traced)

  def test_a_failure_is_left_to_the_run(self):
    out_of_memory = mock.Mock(side_effect=RuntimeError('out of memory'))
    with (
      mock.patch.object(devices, 'create', out_of_memory),
      self.assertLogs('absl', 'INFO') as logs,
    ):
      self.start.begin(10)
      programs = self.start.programs(6)
    self.assertIn('out of memory', logs.output[0])
    self.assertEqual(programs.total_steps, 6)
