"""Connects the processes that train one run, and ends them together.

There is one process per host, or one per device. Each is the same command, and
learns of the others from its flags or from the software of the cluster.
"""

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator

import jax

from carvana_jax.system import cli, common_flags, progress
from carvana_jax.system.errors import Interrupted, UserError

_NAMES = ('coordinator', 'num_processes', 'process_id')
# Where the number of tasks is; the first that is set counts. The shell that
# salloc gives is one task, though SLURM_NTASKS is that of the whole job.
_SIZES = ('OMPI_COMM_WORLD_SIZE', 'SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS')
# Seconds of silence after which a process counts as dead.
_PATIENCE = 30


@contextlib.contextmanager
def connect(
  alone: Callable[[], None],
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> Iterator[None]:
  """Joins the other processes of a run, if there are any.

  Enter it before any other call of JAX. Within it only the first process
  prints. A process that fails or is interrupted leaves without waiting for the
  others, which notice that and stop as well; if all have saved what they did
  (`Interrupted`), they end together.

  Args:
    alone: a function that is called if there are no other processes, before JAX
      looks for devices.
    coordinator: HOST:PORT of process 0; None, as for the next two, asks the
      software of the cluster, if there is any.
    num_processes: how many processes there are.
    process_id: the number of this process, from 0 on.

  Raises:
    UserError: only some of the last three are given, one of them is wrong, or
      the cluster tells too little.
  """
  _initialize(coordinator, num_processes, process_id)
  if not jax.distributed.is_initialized():
    alone()
  several, first = jax.process_count() > 1, jax.process_index() == 0
  if not first:
    progress.hide_bars()
  try:
    with contextlib.redirect_stdout(sys.stdout if first else None):
      yield
  except Interrupted:
    raise
  except (Exception, KeyboardInterrupt) as error:
    if not several:
      raise
    code = cli.report_error(_lost(error) or error)
    os._exit(cli.flushed(code))  # an ordinary end would wait for the others


def _initialize(coordinator, num_processes, process_id):
  # JAX's preemption service would take SIGTERM from `stopping.StopSignal`.
  jax.config.update('jax_enable_preemption_service', False)
  values = zip(_NAMES, (coordinator, num_processes, process_id), strict=True)
  missing = [f'--{name}' for name, value in values if value is None]
  if len(missing) == len(_NAMES):
    _find_others()
    return
  if missing:
    raise UserError(
      f'{" and ".join(missing)} must be given, too: --coordinator, '
      '--num_processes and --process_id belong together.'
    )
  common_flags.check_process_id(process_id, num_processes)
  if not re.fullmatch(r'.+:\d+', coordinator):
    raise UserError(
      f'--coordinator={coordinator} must be HOST:PORT, with a free '
      'port of the machine of process 0.'
    )
  _join(
    coordinator_address=coordinator,
    num_processes=num_processes,
    process_id=process_id,
    cluster_detection_method='deactivate',
  )


def _find_others():
  """Joins the processes that the software of a cluster knows of."""
  counts = (os.environ[name] for name in _SIZES if name in os.environ)
  if next(counts, None) == '1':
    return  # JAX would give a single task one device only
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # about clusters that can't be asked
      _join(local_device_ids=_devices_of_task())
  except ValueError as error:
    # JAX tells only by its words that there is no cluster.
    if 'coordinator_address' not in str(error):
      raise UserError(f'{error} Give {", ".join(_NAMES)} as flags.') from error


def _devices_of_task():
  """Returns the devices of a SLURM task that has a node to itself, else None.

  JAX expects one task per device, and would give it the first device only.
  """
  nodes, tasks = 'SLURM_STEP_NUM_NODES', 'SLURM_STEP_NUM_TASKS'
  visible = os.environ.get('CUDA_VISIBLE_DEVICES')
  if visible and os.environ.get(nodes, 0) == os.environ.get(tasks):
    return list(range(len(visible.split(','))))
  return None


def _join(**arguments):
  jax.distributed.initialize(heartbeat_timeout_seconds=_PATIENCE, **arguments)


def _lost(error):
  """Returns an error for the user if another process caused this one.

  Args:
    error: what was raised in this process.

  Returns:
    A `UserError` if JAX lost another process; None for all other errors.
  """
  # JAX's errors have their status in the text alone.
  text = str(error)
  own = text.startswith(('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT'))
  if own or not isinstance(error, jax.errors.JaxRuntimeError):
    return None
  return UserError(
    'a process of the run has ended or cannot be reached '
    f'({text.partition(chr(10))[0]}); see what it printed, then start all '
    'again: the same command goes on from the latest checkpoint.'
  )
