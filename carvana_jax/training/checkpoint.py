"""Checkpoints of a run: the latest ones and the best, with their config."""

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
from absl import logging
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers as policies

from carvana_jax.datasets import prepare
from carvana_jax.parallel import processes
from carvana_jax.system import checksums, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import crossval_folder, train_state

# Bytes: what Orbax writes beside the numbers, and an epoch's records.
_BESIDE = 10_000_000
# Of several processes only the first saves, without waiting for the others.
_ALONE = ocp.options.MultiprocessingOptions(
  primary_host=0, active_processes={0}, barrier_sync_key_prefix='first'
)
# Superseded checkpoints are moved into this folder before they are deleted,
# so that none is ever there in part under its number.
_SUPERSEDED = 'superseded'
# How many leaves an error names.
_NAMED = 3


class Checkpoints:
  """Saves in the background; keeps the last two and the best one.

  The best has the highest score, of several the first. Use it as a context
  manager: leaving waits for a save that is still under way. One run at a
  time, see `run_folder.lock`: what a save that failed has left is removed. Of a
  run's processes the first reads and writes, and the others hear of it.
  """

  def __init__(self, workdir: pathlib.Path):
    self._workdir = workdir
    self._background = futures.ThreadPoolExecutor(1)
    self._under_way = None  # of the last save: its step and a future
    self._manager = None
    if not processes.is_first():
      return
    folder_of(workdir).mkdir(parents=True, exist_ok=True)
    self._manager = ocp.CheckpointManager(
      folder_of(workdir),
      options=ocp.CheckpointManagerOptions(
        preservation_policy=_Policy(),
        best_fn=_rank,
        best_mode='max',
        enable_async_checkpointing=True,
        cleanup_tmp_directories=True,
        create=False,
        multiprocessing_options=_ALONE,
        todelete_subdir=_SUPERSEDED,
      ),
    )
    # A process that was killed may have deleted and recorded less.
    steps = _steps(workdir)
    kept = _kept({step: _saved_rank(workdir, step) for step in steps})
    for step in set(steps) - kept:
      self._manager.delete(step)
    self._tidy()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    try:
      self._settle()
    finally:
      self._background.shutdown()
      if self._manager:
        # It would say again what failed in a save.
        with contextlib.suppress(OSError, ValueError):
          self._manager.close()

  @property
  def latest(self) -> int | None:
    """The latest step that was saved."""
    return processes.broadcast_result(lambda: self._manager.latest_step())

  @property
  def best(self) -> int | None:
    """The saved step of the highest validation score."""
    return processes.broadcast_result(lambda: self._manager.best_step())

  def save(self, state, notes: dict, score: float) -> None:
    """Saves a state under its step.

    Args:
      state: a `TrainState`.
      notes: what else describes the run at this step, as for JSON.
      score: of validation, the higher the better; -inf: it was not scored.

    Raises:
      UserError: this state or the one before could not be saved; those that
        were saved earlier are whole.
    """
    if not self._manager:
      return
    self._settle()
    step = int(state.step)
    needed = _BESIDE + sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    free = shutil.disk_usage(folder_of(self._workdir)).free
    if free < needed:
      # Told early: a disk that fills up makes Orbax print a thousand lines.
      raise self._failure(
        step, f'{needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free'
      )
    with self._telling(step):
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
    """Makes a saved step one that has not been scored, see `save`."""
    if not self._manager:
      return
    _record(self._workdir, step).unlink(missing_ok=True)
    metrics = {'score': -math.inf, 'step': step}
    files.write(_metrics(self._workdir, step), json.dumps(metrics))
    self._manager.reload()
    self._tidy()

  def notes(self, step: int) -> dict:
    """The notes saved with a step."""
    return read_notes(self._workdir, step)

  def state(self, step: int, like: Any) -> Any:
    """The state saved with a step, on the devices and types of `like`."""
    return read_state(self._workdir, step, like)

  def _finish(self):
    """Waits until a step is saved, then records its checksums."""
    self._manager.wait_until_finished()
    self._tidy()

  def _tidy(self):
    """Deletes what is superseded and records checksums of what is new."""
    folder = folder_of(self._workdir)
    shutil.rmtree(folder / _SUPERSEDED, ignore_errors=True)
    kept = {
      _record(self._workdir, step): step for step in _steps(self._workdir)
    }
    for record, step in kept.items():
      if not record.exists():
        checksums.write(folder / str(step), record)
    for record in (self._workdir / 'checksums').glob('*.json'):
      if record not in kept:
        record.unlink()

  def _settle(self):
    """Waits for the save under way; raises what went wrong in it, once."""
    if self._under_way:
      (step, saved), self._under_way = self._under_way, None
      with self._telling(step):
        saved.result()

  @contextlib.contextmanager
  def _telling(self, step):
    """Makes a `UserError` of what the disk or its writers say."""
    try:
      yield
    except (OSError, ValueError) as error:  # the latter from TensorStore
      full = 'No space left on device'
      reason = full if full in str(error) else str(error)
      raise self._failure(step, reason) from error

  def _failure(self, step, reason):
    whole = [saved for saved in _steps(self._workdir) if saved < step]
    place = f'goes on from step {whole[-1]}' if whole else 'starts again'
    return UserError(
      f'step {step} could not be saved in {folder_of(self._workdir)} '
      f'({reason}); make room there, then the same command {place}.'
    )


class _Policy(policies.PreservationPolicy):
  """Keeps what `_kept` says."""

  def should_preserve(self, checkpoints, *, context):
    del context
    kept = _kept({x.step: _rank(x.metrics) for x in checkpoints})
    return [x.step in kept for x in checkpoints]


def _kept(ranks):
  """Of {step: rank}, the best, the latest, and the last two with a score.

  So what is kept of a run does not tell whether it was interrupted.
  """
  scored = [step for step in sorted(ranks) if ranks[step][0] > -math.inf]
  best = max(ranks, key=ranks.get, default=None)
  return {best, max(ranks, default=None), *scored[-2:]}


def _rank(metrics):
  if 'score' not in metrics:
    raise UserError(
      'the run was made by an older version of this code; train it again.'
    )
  return metrics['score'], -metrics['step']


def exists(workdir: pathlib.Path) -> bool:
  """Whether a run has left a whole checkpoint in the folder."""
  return bool(_steps(workdir))


def set_aside_damaged(workdir: pathlib.Path) -> None:
  """Moves damaged checkpoints to the folder `damaged`, warning of each.

  Only for the process that trains, see `run_folder.lock`.

  Raises:
    UserError: all are damaged; then none is moved.
  """
  whole = _whole_steps(workdir)
  for step in _steps(workdir):
    if step in whole:
      continue
    aside = workdir / 'damaged' / str(step)
    aside.parent.mkdir(exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    (folder_of(workdir) / str(step)).rename(aside)
    _record(workdir, step).unlink()
    logging.warning('It is now %s, and may be removed.', aside)


def state_creator(config: ConfigDict, model, optimizer):
  """A function without arguments that makes the run's first state."""
  shape = prepare.input_shape(config.data)
  averaged = config.train.average_decay > 0
  return lambda: train_state.create(
    model, optimizer, shape, config.seed, averaged
  )


def folder_of(workdir):
  return (workdir / 'checkpoints').absolute()


def _record(workdir, step):
  """Where the checksums of a step are."""
  return workdir / 'checksums' / f'{step}.json'


def _steps(workdir):
  """The steps that were saved, from the first to the last."""
  # Orbax gives a folder its number when all is written.
  names = (path.name for path in folder_of(workdir).glob('*'))
  return sorted(int(name) for name in names if name.isdigit())


def _whole_steps(workdir):
  """The steps whose files are as they were saved; warns of the others."""
  folder = folder_of(workdir)
  damages = {
    step: checksums.damage(folder / str(step), _record(workdir, step))
    for step in _steps(workdir)
  }
  whole = [step for step, damage in damages.items() if not damage]
  if damages and not whole:
    raise UserError(
      f'all checkpoints in {folder} are damaged; bring back a copy of that '
      'folder, or remove it to train from the start '
      f'({"; ".join(f"of step {x}, {damages[x]}" for x in damages)}).'
    )
  for step, damage in damages.items():
    if damage:
      logging.warning('%s is not used: %s.', folder / str(step), damage)
  return whole


def best_whole_step(workdir):
  if not folder_of(workdir).is_dir():
    crossval_folder.refuse_crossval(workdir)
    raise UserError(
      f'{workdir} holds no checkpoint; train one with '
      f'python -m carvana_jax.main --workdir={workdir} --config=…'
    )
  ranks = {step: _saved_rank(workdir, step) for step in _whole_steps(workdir)}
  if not ranks:
    raise UserError(f'{workdir} holds no finished checkpoint yet.')
  return max(ranks, key=ranks.get)


def _saved_rank(workdir, step):
  return _rank(json.loads(_metrics(workdir, step).read_text()))


def _metrics(workdir, step):
  return folder_of(workdir) / str(step) / 'metrics' / 'metrics'


def read_notes(workdir, step):
  read = lambda: _restore(workdir, step, notes=ocp.args.JsonRestore())['notes']
  return processes.broadcast_result(read)


def read_state(workdir, step, like):
  args = ocp.args.StandardRestore(like)

  def read():
    _refuse_other_state(workdir, step, like)
    return _restore(workdir, step, state=args)['state']

  return processes.broadcast_arrays(read, like)


def _refuse_other_state(workdir, step, like):
  """Raises a `UserError` where the code now makes another state."""
  folder = folder_of(workdir) / str(step)
  handler = ocp.StandardCheckpointHandler(multiprocessing_options=_ALONE)
  saved = handler.metadata(folder / 'state')
  there = _leaves(saved.tree)
  here = _leaves(like)
  differing = [
    f'{name}: {there.get(name, "none")} there, {here.get(name, "none")} here'
    for name in here | there
    if there.get(name) != here.get(name)
  ]
  if differing:
    more = len(differing) - _NAMED
    raise UserError(
      f'{folder} is not what this code makes of its config: '
      f'{"; ".join(differing[:_NAMED])}{f"; {more} more" if more > 0 else ""}. '
      f'Check out the commit named in {workdir}/starts.jsonl, or train again '
      'in another --workdir.'
    )


def _leaves(tree):
  """{'params/down0_conv0/kernel': 'float32 [3, 3, 3, 8]'}"""
  found = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    found[name] = f'{leaf.dtype} {list(leaf.shape)}'
  return found


def _restore(workdir, step, **items):
  handler = ocp.CompositeCheckpointHandler(
    composite_options=ocp.CompositeOptions(multiprocessing_options=_ALONE)
  )
  with ocp.Checkpointer(handler, multiprocessing_options=_ALONE) as reader:
    return reader.restore(
      folder_of(workdir) / str(step), args=ocp.args.Composite(**items)
    )


def _writable(state):
  """The state as Orbax takes it from the first process alone."""
  if processes.is_only():
    return state
  # Of several processes, it wants arrays of JAX from all. Copies, as the
  # buffers are given away before all is written.
  return jax.tree.map(np.array, state)
