"""Which share of the photos a process takes, and on which GPUs."""

import contextlib
import io
import os
from unittest import mock

import chex
from absl.testing import parameterized

from carvana_jax.parallel import shares
from carvana_jax.system.errors import UserError

# As sbatch sets them in its script, which is one process.
_BATCH = {'SLURM_JOB_ID': '9', 'SLURM_NTASKS': '8', 'SLURM_PROCID': '0',
          'SLURM_LOCALID': '0', 'SLURM_GPUS_ON_NODE': '4'}  # fmt: skip


def step(rank, count, nodes=1):
  """What srun sets, of tasks that are spread evenly in blocks."""
  return _BATCH | {
    'SLURM_STEP_NUM_TASKS': str(count),
    'SLURM_STEP_TASKS_PER_NODE': f'{count // nodes}(x{nodes})',
    'SLURM_NODEID': str(rank // (count // nodes)),
    'SLURM_PROCID': str(rank),
    'SLURM_LOCALID': str(rank % (count // nodes)),
  }


def array(own, numbers, step_=1):
  return _BATCH | {
    'SLURM_ARRAY_TASK_ID': str(own),
    'SLURM_ARRAY_TASK_MIN': str(min(numbers)),
    'SLURM_ARRAY_TASK_MAX': str(max(numbers)),
    'SLURM_ARRAY_TASK_STEP': str(step_),
    'SLURM_ARRAY_TASK_COUNT': str(len(numbers)),
  }


def mpi(rank, count, local_rank, local_count):
  return {
    'OMPI_COMM_WORLD_RANK': str(rank),
    'OMPI_COMM_WORLD_SIZE': str(count),
    'OMPI_COMM_WORLD_LOCAL_RANK': str(local_rank),
    'OMPI_COMM_WORLD_LOCAL_SIZE': str(local_count),
  }


class ShareTest(chex.TestCase):
  def share(self, environment, *given):
    """Returns the share, and what is printed."""
    with (
      mock.patch.dict(os.environ, environment, clear=True),
      contextlib.redirect_stdout(io.StringIO()) as output,
    ):
      share = shares.of_this_process(*(given or (None, None)))
    return share, output.getvalue()

  @parameterized.parameters(
    ({},), (_BATCH,), (step(0, 1),), (array(5, [5]),), (mpi(0, 1, 0, 1),)
  )
  def test_alone(self, environment):
    self.assertEqual(self.share(environment), ((0, 1), ''))

  @parameterized.parameters(
    (step(3, 8), (3, 8), 'SLURM'),
    (array(0, range(4)), (0, 4), 'SLURM'),
    (array(4, range(1, 5)), (3, 4), 'SLURM'),
    (array(14, [10, 12, 14, 16], 2), (2, 4), 'SLURM'),
    (array(2, range(4)) | step(1, 2), (5, 8), 'SLURM'),
    (mpi(5, 6, 1, 2), (5, 6), 'Open MPI'),
    # mpirun's own processes are a step of SLURM, one a node.
    (step(1, 3, 3) | mpi(3, 6, 1, 2), (3, 6), 'Open MPI'),
  )
  def test_as_the_environment_has_it(self, environment, expected, told):
    share, printed = self.share(environment)
    self.assertEqual(share, expected)
    index, count = expected
    self.assertIn(f'process {index} of {count}, from 0 on, as {told}', printed)

  def test_shares_of_an_array_of_steps_are_all_and_differ(self):
    found = {
      self.share(array(own, [3, 6, 9], 3) | step(rank, 2))[0]
      for own in (3, 6, 9)
      for rank in range(2)
    }
    self.assertEqual(found, {(i, 6) for i in range(6)})

  @parameterized.parameters(
    ((1, 2), (1, 2)), ((None, 1), (0, 1)), ((0, 1), (0, 1))
  )
  def test_flags_win(self, given, expected):
    self.assertEqual(self.share(step(3, 8), *given), (expected, ''))

  def test_one_flag_without_the_other(self):
    for given, words in (
      ((0, None), '--process_id=0 is of no use without --num_processes'),
      ((None, 3), '--num_processes=3 needs --process_id'),
    ):
      with self.assertRaisesRegex(UserError, words):
        self.share({}, *given)

  @parameterized.parameters((2, 2), (-1, 2), (None, 0))
  def test_no_such_process(self, *given):
    with self.assertRaisesRegex(UserError, 'must be from 0 to'):
      self.share({}, *given)

  @parameterized.parameters((1, 1), (7, 1), (2, 2))
  def test_an_array_with_gaps(self, own, step_):
    with self.assertRaisesRegex(UserError, 'not evenly .* give --process_id'):
      self.share(array(own, [1, 2, 4, 7], step_))


class GpusTest(chex.TestCase):
  def own(self, environment, nodes=0):
    """Returns what CUDA and XLA are told, on a node with GPUs' files."""
    files = [f'/dev/nvidia{i}' for i in range(nodes)]
    with (
      mock.patch.dict(os.environ, environment, clear=True),
      mock.patch.object(shares.glob, 'glob', lambda _: files),
    ):
      shares.use_own_gpus()
      names = ('CUDA_VISIBLE_DEVICES', 'XLA_CLIENT_MEM_FRACTION')
      return tuple(os.environ.get(name) for name in names)

  @parameterized.parameters(
    # GPUs of each of the tasks of a node, and the memory that each may take.
    (4, ['0', '1', '2', '3'], None),
    (2, ['0,2', '1,3'], None),
    (3, ['0,3', '1', '2'], None),
    (6, ['0', '1', '2', '3', '0', '1'], '0.375'),
  )
  def test_tasks_of_a_node_share_its_gpus(self, count, expected, memory):
    for rank, gpus in enumerate(expected):
      visible = step(rank, count) | {'CUDA_VISIBLE_DEVICES': '0,1,2,3'}
      self.assertEqual(self.own(visible), (gpus, memory))
      # Where nothing binds them, as many as there are files of devices.
      self.assertEqual(self.own(mpi(9, 99, rank, count), 4), (gpus, memory))

  def test_on_the_second_node_as_on_the_first(self):
    visible = step(5, 8, nodes=2) | {'CUDA_VISIBLE_DEVICES': 'a,b,c,d'}
    self.assertEqual(self.own(visible), ('b', None))

  def test_nodes_with_other_numbers_of_tasks(self):
    uneven = {'CUDA_VISIBLE_DEVICES': '0,1', 'SLURM_GPUS_ON_NODE': '2',
              'SLURM_STEP_TASKS_PER_NODE': '4,1'}  # fmt: skip
    first = step(3, 5) | uneven | {'SLURM_NODEID': '0'}
    self.assertEqual(self.own(first), ('1', '0.375'))
    last = step(4, 5) | uneven | {'SLURM_NODEID': '1', 'SLURM_LOCALID': '0'}
    self.assertEqual(self.own(last), ('0,1', None))

  def test_tasks_that_slurm_has_bound_to_the_same_gpu(self):
    bound = step(1, 8) | {'CUDA_VISIBLE_DEVICES': '0'}
    self.assertEqual(self.own(bound), ('0', '0.375'))

  def test_what_slurm_has_bound_stays(self):
    bound = step(1, 4) | {'CUDA_VISIBLE_DEVICES': '0'}
    self.assertEqual(self.own(bound), ('0', None))
    # Two tasks of two of the four each.
    bound = step(1, 2) | {'CUDA_VISIBLE_DEVICES': '0,1'}
    self.assertEqual(self.own(bound), ('0,1', None))

  def test_one_process_keeps_all(self):
    for alone in ({}, _BATCH, step(1, 2, nodes=2), array(1, range(4))):
      visible = alone | {'CUDA_VISIBLE_DEVICES': '0,1,2,3'}
      self.assertEqual(self.own(visible), ('0,1,2,3', None))
      self.assertEqual(self.own(alone, 4), (None, None))

  def test_without_gpus(self):
    self.assertEqual(self.own(mpi(1, 2, 1, 2)), (None, None))
    hidden = mpi(1, 2, 1, 2) | {'CUDA_VISIBLE_DEVICES': ''}
    self.assertEqual(self.own(hidden, 4), ('', None))

  def test_memory_that_the_user_has_set_stays(self):
    name = 'XLA_PYTHON_CLIENT_MEM_FRACTION'
    self.assertEqual(self.own(mpi(0, 2, 0, 2) | {name: '0.3'}, 1), ('0', None))
