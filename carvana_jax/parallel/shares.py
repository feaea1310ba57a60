"""Processes that share photos without talking to each other.

SLURM and Open MPI tell each process of the others in its environment: of the
tasks of a job array, and of the tasks that `srun` or `mpirun` has started.
"""

import glob
import math
import os
from typing import NamedTuple

from carvana_jax.system import common_flags
from carvana_jax.system.errors import UserError

_MPI = 'OMPI_COMM_WORLD_SIZE'
_MEMORY = 0.75  # share of a GPU's memory that JAX takes if it is not told
_MEMORY_NAMES = ('XLA_CLIENT_MEM_FRACTION', 'XLA_PYTHON_CLIENT_MEM_FRACTION')


class _Tasks(NamedTuple):
  """Tasks that were started together, and which of them this process is."""

  index: int = 0
  count: int = 1
  index_on_node: int = 0
  count_on_node: int = 1


def of_this_process(index: int | None, count: int | None) -> tuple[int, int]:
  """Returns (index, count): which of how many processes this one is.

  Where neither is given, the environment is asked, and what it says is printed
  if there are several processes. A task of a job array may itself be several
  tasks of `srun`.

  Args:
    index: --process_id, None if it is not given.
    count: --num_processes, likewise.

  Raises:
    UserError: only one of them is given, though there are several processes;
      there is no process of that number; or the numbers of a job array are not
      evenly spaced.
  """
  if index is not None or count is not None:
    if count is None:
      raise UserError(
        f'--process_id={index} is of no use without --num_processes.'
      )
    if index is None and count > 1:
      raise UserError(
        f'--num_processes={count} needs --process_id, which of them this one '
        'is; give it.'
      )
    index = index or 0
    common_flags.check_process_id(index, count)
    return index, count
  tasks, (place, places) = _tasks(), _place_in_array()
  index, count = place * tasks.count + tasks.index, places * tasks.count
  if count > 1:
    told = 'Open MPI' if _MPI in os.environ else 'SLURM'
    print(
      f'process {index} of {count}, from 0 on, as {told} has it: takes its '
      'share of the photos (--num_processes=1 takes all)',
      flush=True,
    )
  return index, count


def use_own_gpus() -> None:
  """Leaves this process those GPUs of its node that no other task takes.

  Of n tasks on a node the i-th has GPUs i, i + n, …; where there are more tasks
  than GPUs, each has one, and of its memory the part that leaves the others as
  much. Where SLURM has given each task GPUs of its own it stays at that. Call
  it before JAX is used.
  """
  tasks, gpus = _tasks(), _visible_gpus()
  if tasks.count_on_node == 1 or not gpus:
    return
  on_node = int(os.environ.get('SLURM_GPUS_ON_NODE', len(gpus)))
  if len(gpus) >= on_node:  # else SLURM has bound them to tasks
    own = gpus[tasks.index_on_node % len(gpus) :: tasks.count_on_node]
    os.environ['CUDA_VISIBLE_DEVICES'] = ','.join(own)
  sharing = math.ceil(tasks.count_on_node / max(on_node, len(gpus)))
  if sharing > 1 and not any(name in os.environ for name in _MEMORY_NAMES):
    os.environ[_MEMORY_NAMES[0]] = f'{_MEMORY / sharing:.3f}'


def _tasks():
  """Returns the tasks of `mpirun` or `srun`, or this process alone.

  A batch script that runs without `srun` also finds SLURM_NTASKS and
  SLURM_PROCID, though it is one process; SLURM_STEP_… are of `srun` alone.
  """
  # mpirun first: under SLURM it may have started its own processes by srun.
  if _MPI in os.environ:
    names = ('RANK', 'SIZE', 'LOCAL_RANK', 'LOCAL_SIZE')
    return _Tasks(*(_number(f'OMPI_COMM_WORLD_{name}') for name in names))
  if 'SLURM_STEP_NUM_TASKS' in os.environ:
    return _Tasks(
      _number('SLURM_PROCID'),
      _number('SLURM_STEP_NUM_TASKS'),
      _number('SLURM_LOCALID'),
      _tasks_on_node(),
    )
  return _Tasks()


def _tasks_on_node():
  """Returns how many tasks this node has: of 4(x2),1 it is 4 or 1."""
  counts = []
  for part in os.environ['SLURM_STEP_TASKS_PER_NODE'].split(','):
    count, _, repeated = part.rstrip(')').partition('(x')
    counts += [int(count)] * int(repeated or 1)
  return counts[_number('SLURM_NODEID')]


def _place_in_array():
  """Returns (index, count) of a task of a SLURM job array, else (0, 1)."""
  if 'SLURM_ARRAY_TASK_ID' not in os.environ:
    return 0, 1
  own, first, last, step, count = (
    _number(f'SLURM_ARRAY_TASK_{name}')
    for name in ('ID', 'MIN', 'MAX', 'STEP', 'COUNT')
  )
  if count == 1:
    return 0, 1
  if last - first != step * (count - 1) or (own - first) % step:
    raise UserError(
      'the numbers of the SLURM job array are not evenly spaced, so the photos '
      'cannot be shared by them; give --process_id and --num_processes.'
    )
  return (own - first) // step, count


def _number(name):
  return int(os.environ[name])


def _visible_gpus():
  """Returns the NVIDIA GPUs that CUDA would find, as it is told of them."""
  visible = os.environ.get('CUDA_VISIBLE_DEVICES')
  if visible is not None:
    return [x for x in visible.split(',') if x]
  return [str(x) for x in range(len(glob.glob('/dev/nvidia[0-9]*')))]
