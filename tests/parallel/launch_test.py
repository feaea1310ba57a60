"""How a process learns of the others."""

import contextlib
import io
import os
from unittest import mock

import chex
import jax
from absl.testing import parameterized

from carvana_jax.parallel import launch
from carvana_jax.system import progress
from carvana_jax.system.errors import UserError

_SLURM = {'SLURM_STEP_NUM_NODES': '2', 'CUDA_VISIBLE_DEVICES': '0,1,2,3'}


class JoinedTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.alone = mock.Mock()
    self.initialize = self.enterContext(
      mock.patch.object(jax.distributed, 'initialize')
    )

  def join(self, environment=(), **given):
    with (
      mock.patch.dict(os.environ, dict(environment)),
      launch.connect(self.alone, **given),
    ):
      pass

  @parameterized.parameters(
    ({'coordinator': 'a:1'}, '--num_processes and --process_id must be given'),
    ({'num_processes': 2}, '--coordinator and --process_id must be given'),
    ({'coordinator': 'a:1', 'num_processes': 2, 'process_id': 2},
     '--process_id=2 must be from 0 to --num_processes=2 less 1'),
    ({'coordinator': 'a', 'num_processes': 2, 'process_id': 0},
     '--coordinator=a must be HOST:PORT'),
  )  # fmt: skip
  def test_wrong_flags(self, given, words):
    with self.assertRaisesRegex(UserError, words):
      self.join(**given)
    self.initialize.assert_not_called()

  def test_flags_name_the_others(self):
    with mock.patch.object(jax.distributed, 'is_initialized', lambda: True):
      self.join(coordinator='a:1', num_processes=2, process_id=1)
    self.alone.assert_not_called()
    given = self.initialize.call_args.kwargs
    self.assertEqual(given['coordinator_address'], 'a:1')
    self.assertEqual((given['num_processes'], given['process_id']), (2, 1))
    # Else a cluster's software would be asked for the devices.
    self.assertEqual(given['cluster_detection_method'], 'deactivate')

  def test_alone(self):
    self.initialize.side_effect = ValueError(
      'coordinator_address should be defined.'
    )
    self.join()
    self.initialize.assert_called_once()
    self.alone.assert_called_once()

  def test_a_cluster_that_tells_too_little(self):
    self.initialize.side_effect = ValueError('Number of processes must be …')
    with self.assertRaisesRegex(UserError, 'Number of processes .* as flags'):
      self.join()

  def test_the_first_of_several_alone_draws_and_prints(self):
    for index, printed in ((0, 'text\n'), (1, '')):
      with (
        mock.patch.object(jax, 'process_index', lambda index=index: index),
        mock.patch.object(jax, 'process_count', lambda: 2),
        mock.patch.object(progress, '_is_hidden', False),
        contextlib.redirect_stdout(io.StringIO()) as output,
        launch.connect(self.alone, 'a:1', 2, index),
      ):
        print('text')
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        with contextlib.redirect_stderr(terminal):
          list(progress.bar('a', total=1, unit='step'))
      self.assertEqual(output.getvalue(), printed)
      self.assertEqual(terminal.getvalue() == '', index == 1)

  @parameterized.parameters(
    ({'SLURM_NTASKS': '1'}, True),
    ({'OMPI_COMM_WORLD_SIZE': '1'}, True),
    # A shell that salloc gives; mpirun in it; srun.
    ({'SLURM_NTASKS': '4', 'SLURM_STEP_NUM_TASKS': '1'}, True),
    ({'SLURM_NTASKS': '4', 'SLURM_STEP_NUM_TASKS': '1',
      'OMPI_COMM_WORLD_SIZE': '2'}, False),
    ({'SLURM_NTASKS': '4', 'SLURM_STEP_NUM_TASKS': '4'}, False),
  )  # fmt: skip
  def test_a_single_task_joins_nobody(self, environment, is_single):
    self.join(environment)
    self.assertEqual(self.initialize.called, not is_single)

  @parameterized.parameters(('2', [0, 1, 2, 3]), ('8', None))
  def test_a_task_with_a_node_for_itself_has_all_its_devices(self, tasks, ids):
    self.join(_SLURM | {'SLURM_STEP_NUM_TASKS': tasks})
    given = self.initialize.call_args.kwargs
    self.assertEqual(given['local_device_ids'], ids)
