"""Saves and reads the checkpoints of a run: the latest ones and the best."""

import contextlib
import json
import math
import pathlib
import shutil
from concurrent import futures
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from carvana_jax.parallel import processes
from carvana_jax.system import checksums, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import saved_steps

# What Orbax writes beside the numbers, and an epoch's records.
_OVERHEAD_BYTES = 10_000_000
# Of several processes only the first saves, without waiting for the others.
_ALONE = ocp.options.MultiprocessingOptions(
  primary_host=0, active_processes={0}, barrier_sync_key_prefix='first'
)
# Superseded checkpoints are moved into this folder before they are deleted,
# so that a folder with a step's number is always complete.
_SUPERSEDED = 'superseded'
# How many differing arrays an error names.
_MOST_NAMED = 3
# Of a state, what a trained network consists of.
_NETWORK_FIELDS = ('params', 'batch_stats', 'average', 'frozen')


class Checkpoints:
  """Saves in the background; keeps the last two checkpoints and the best one.

  The best has the highest score, of several the first. Use it as a context
  manager: leaving waits for a save that is still under way. One run at a
  time, see `run_folder.lock`: what a failed save has left is removed.

  Of a run's processes the first writes. `latest_step` and `best_step` tell the
  others, so all must call them together.
  """

  def __init__(self, workdir: pathlib.Path):
    """Opens the checkpoints in a run's folder.

    Args:
      workdir: the run's folder; its checkpoints need not exist yet.
    """
    self._workdir = workdir
    self._folder = saved_steps.folder_of(workdir)
    self._background = futures.ThreadPoolExecutor(1)
    self._under_way = None  # of the last save: its step and a future
    self._manager = None
    if not processes.is_first():
      return
    self._folder.mkdir(parents=True, exist_ok=True)
    self._manager = ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=_Policy(),
        best_fn=saved_steps.rank_of,
        best_mode='max',
        enable_async_checkpointing=True,
        cleanup_tmp_directories=True,
        create=False,
        multiprocessing_options=_ALONE,
        todelete_subdir=_SUPERSEDED,
      ),
    )
    # A process that was killed may not have deleted and recorded everything.
    ranks = {
      step: saved_steps.rank(workdir, step)
      for step in saved_steps.steps(workdir)
    }
    for step in ranks.keys() - _steps_to_keep(ranks):
      self._manager.delete(step)
    self._tidy()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    try:
      self._wait()
    finally:
      self._background.shutdown()
      if self._manager:
        # It would repeat what failed in a save.
        with contextlib.suppress(OSError, ValueError):
          self._manager.close()

  def latest_step(self) -> int | None:
    """Returns the latest step that was saved, None before the first.

    All processes must call it together.
    """
    return processes.broadcast_result(lambda: self._manager.latest_step())

  def best_step(self) -> int | None:
    """Returns the saved step of the highest score, None before the first.

    All processes must call it together.
    """
    return processes.broadcast_result(lambda: self._manager.best_step())

  def save(self, state: Any, notes: dict[str, Any], score: float) -> None:
    """Saves a state under its step, in the background.

    Args:
      state: a `TrainState`.
      notes: what else describes the run at this step, as for JSON.
      score: of validation, the higher the better; -inf where the step was not
        scored.

    Raises:
      UserError: this state or the one before could not be saved. Earlier ones
        are whole.
    """
    if not self._manager:
      return
    self._wait()
    step = int(state.step)
    needed = _OVERHEAD_BYTES + sum(x.nbytes for x in jax.tree.leaves(state))
    free = shutil.disk_usage(self._folder).free
    if free < needed:
      # Noticed early: a disk that fills up makes Orbax print a thousand lines.
      raise self._failure(
        step, f'{needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free'
      )
    with self._user_errors(step):
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(_writable(state)),
          notes=ocp.args.JsonSave(notes),
        ),
        metrics={'score': score, 'step': step},
      )
    self._under_way = step, self._background.submit(self._finish)

  def forget_score(self, step: int) -> None:
    """Makes a saved step one that has not been scored, see `save`.

    Args:
      step: of a checkpoint that is there.
    """
    if not self._manager:
      return
    saved_steps.checksums_path(self._workdir, step).unlink(missing_ok=True)
    metrics = {'score': -math.inf, 'step': step}
    files.write(
      saved_steps.metrics_path(self._workdir, step), json.dumps(metrics)
    )
    self._manager.reload()
    self._tidy()

  def _finish(self):
    """Waits until a step is saved, then records its checksums."""
    self._manager.wait_until_finished()
    self._tidy()

  def _tidy(self):
    """Deletes what is superseded and records checksums of what is new."""
    shutil.rmtree(self._folder / _SUPERSEDED, ignore_errors=True)
    records = {
      saved_steps.checksums_path(self._workdir, step): step
      for step in saved_steps.steps(self._workdir)
    }
    for record, step in records.items():
      if not record.exists():
        checksums.write(self._folder / str(step), record)
    for record in (self._workdir / 'checksums').glob('*.json'):
      if record not in records:
        record.unlink()

  def _wait(self):
    """Waits for the save under way; raises what went wrong in it, once."""
    if self._under_way:
      (step, saved), self._under_way = self._under_way, None
      with self._user_errors(step):
        saved.result()

  @contextlib.contextmanager
  def _user_errors(self, step):
    """Turns errors of the disk, or of those who write to it, into one line."""
    try:
      yield
    except (OSError, ValueError) as error:  # the latter from TensorStore
      full = 'No space left on device'
      reason = full if full in str(error) else str(error)
      raise self._failure(step, reason) from error

  def _failure(self, step, reason):
    whole = [
      saved for saved in saved_steps.steps(self._workdir) if saved < step
    ]
    place = f'goes on from step {whole[-1]}' if whole else 'starts again'
    return UserError(
      f'step {step} could not be saved in {self._folder} '
      f'({reason}); make room there, then the same command {place}.'
    )


def read_notes(workdir: pathlib.Path, step: int) -> dict[str, Any]:
  """Reads the notes that were saved with a step.

  All processes must call it together.

  Args:
    workdir: the run's folder.
    step: of a checkpoint that is there.

  Returns:
    The notes, as from JSON.
  """
  read = lambda: _restore(workdir, step, notes=ocp.args.JsonRestore())['notes']
  return processes.broadcast_result(read)


def read_state(workdir: pathlib.Path, step: int, like: Any) -> Any:
  """Reads the state that was saved with a step.

  All processes must call it together.

  Args:
    workdir: the run's folder.
    step: of a checkpoint that is there.
    like: shapes, types and placement of the state, see `devices.abstract`.

  Returns:
    A `TrainState`, placed on the devices as `like` is.

  Raises:
    UserError: the saved state has other arrays than `like`.
  """
  args = ocp.args.StandardRestore(like)
  return _restore_state(workdir, step, like, args, like)


def read_eval_variables(workdir: pathlib.Path, step: int, like: Any) -> Any:
  """Reads a step's `TrainState.eval_variables`, without the optimizer's state.

  All processes must call it together.

  Args:
    workdir: the run's folder.
    step: of a checkpoint that is there.
    like: as for `read_state`, a whole state.

  Returns:
    The network's variables, placed on the devices as those of `like`.

  Raises:
    UserError: the saved state has other arrays than `like`.
  """
  wanted = {name: getattr(like, name) for name in _NETWORK_FIELDS}
  args = ocp.args.PyTreeRestore(
    wanted,
    restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
    partial_restore=True,
  )

  arrays = _restore_state(workdir, step, like, args, wanted)
  return like.replace(**arrays).eval_variables


class _Policy(checkpoint_managers.PreservationPolicy):
  """Tells Orbax to keep `_steps_to_keep`."""

  def should_preserve(self, checkpoints, *, context):
    del context
    kept = _steps_to_keep(
      {x.step: saved_steps.rank_of(x.metrics) for x in checkpoints}
    )
    return [x.step in kept for x in checkpoints]


def _steps_to_keep(ranks):
  """Of {step: rank}, the best, the latest, and the last two with a score.

  So what is kept of a run does not tell whether it was interrupted.
  """
  scored = [step for step in sorted(ranks) if ranks[step][0] > -math.inf]
  best = max(ranks, key=ranks.get, default=None)
  return {best, max(ranks, default=None), *scored[-2:]}


def _refuse_other_state(workdir, step, like):
  """Raises a `UserError` where the code makes another state than was saved."""
  folder = saved_steps.folder_of(workdir) / str(step)
  handler = ocp.StandardCheckpointHandler(multiprocessing_options=_ALONE)
  there = _array_types(handler.metadata(folder / 'state').tree)
  here = _array_types(like)
  differing = [
    f'{name}: {there.get(name, "none")} there, {here.get(name, "none")} here'
    for name in here | there
    if there.get(name) != here.get(name)
  ]
  if differing:
    more = len(differing) - _MOST_NAMED
    raise UserError(
      f'{folder} is not what this code makes of its config: '
      f'{"; ".join(differing[:_MOST_NAMED])}'
      f'{f"; {more} more" if more > 0 else ""}. '
      f'Check out the commit named in {workdir}/starts.jsonl, or train again '
      'in another --workdir.'
    )


def _array_types(tree):
  """{'params/down0_conv0/kernel': 'float32 [3, 3, 3, 8]'}"""
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): (
      f'{leaf.dtype} {list(leaf.shape)}'
    )
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def _restore_state(workdir, step, like, args, wanted):
  """Reads those arrays of a saved state that are wanted."""

  def read():
    _refuse_other_state(workdir, step, like)
    return _restore(workdir, step, state=args)['state']

  return processes.broadcast_arrays(read, wanted)


def _restore(workdir, step, **items):
  handler = ocp.CompositeCheckpointHandler(
    composite_options=ocp.CompositeOptions(multiprocessing_options=_ALONE)
  )
  with ocp.Checkpointer(handler, multiprocessing_options=_ALONE) as reader:
    return reader.restore(
      saved_steps.folder_of(workdir) / str(step),
      args=ocp.args.Composite(**items),
    )


def _writable(state):
  """Returns the state as Orbax takes it from the first process alone."""
  if processes.is_only():
    return state
  # Of several processes, it wants arrays of JAX from all. These are copies, as
  # the buffers are given away before everything is written.
  return jax.tree.map(np.array, state)
