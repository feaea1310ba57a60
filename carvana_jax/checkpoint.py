"""Checkpoints of a run: the latest ones and the best, with their config."""

import contextlib
import dataclasses
import json
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

from carvana_jax import checksums, models, parallel, prepare, train_state
from carvana_jax.errors import UserError

# Bytes: what Orbax writes beside the numbers, and an epoch's records.
_BESIDE = 10_000_000


class Checkpoints:
  """Saves in the background; keeps the last two and the best one.

  The best has the highest score, of several the first. Use it as a context
  manager: leaving waits for a save that is still under way. One process at a
  time, see `workdir.lock`: what a save that failed has left is removed.
  """

  def __init__(self, workdir: pathlib.Path):
    self._workdir = workdir
    self._background = futures.ThreadPoolExecutor(1)
    self._under_way = None  # of the last save: its step and a future
    self._manager = ocp.CheckpointManager(
      _folder(workdir),
      options=ocp.CheckpointManagerOptions(
        preservation_policy=policies.AnyPreservationPolicy(
          [
            policies.LatestN(2),
            policies.BestN(get_metric_fn=_rank, n=1),
          ]
        ),
        best_fn=_rank,
        best_mode='max',
        enable_async_checkpointing=True,
        cleanup_tmp_directories=True,
      ),
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    try:
      self._settle()
    finally:
      self._background.shutdown()
      # It would say again what failed in a save.
      with contextlib.suppress(OSError, ValueError):
        self._manager.close()

  @property
  def latest(self) -> int | None:
    """The latest step that was saved."""
    return self._manager.latest_step()

  @property
  def best(self) -> int | None:
    """The saved step of the highest validation score."""
    return self._manager.best_step()

  def save(self, state, notes: dict, score: float) -> None:
    """Saves a state under its step.

    Args:
      state: a `TrainState`.
      notes: what else describes the run at this step, as for JSON.
      score: of validation, the higher the better.

    Raises:
      UserError: this state or the one before could not be saved; those that
        were saved earlier are whole.
    """
    self._settle()
    step = int(state.step)
    needed = _BESIDE + sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    free = shutil.disk_usage(_folder(self._workdir)).free
    if free < needed:
      # Told early: a disk that fills up makes Orbax print a thousand lines.
      raise self._failure(
        step, f'{needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free'
      )
    with self._telling(step):
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state), notes=ocp.args.JsonSave(notes)
        ),
        metrics={'score': score, 'step': step},
      )
    self._under_way = step, self._background.submit(self._finish, step)

  def notes(self, step: int) -> dict:
    """The notes saved with a step."""
    return _notes(self._workdir, step)

  def state(self, step: int, like: Any) -> Any:
    """The state saved with a step, on the devices and types of `like`."""
    return _state(self._workdir, step, like)

  def _finish(self, step):
    """Waits until a step is saved, then records its checksums."""
    self._manager.wait_until_finished()
    checksums.write(
      _folder(self._workdir) / str(step), _record(self._workdir, step)
    )
    kept = {_record(self._workdir, kept) for kept in _steps(self._workdir)}
    for record in _record(self._workdir, step).parent.glob('*.json'):
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
      f'step {step} could not be saved in {_folder(self._workdir)} ({reason}); '
      f'make room there, then the same command {place}.'
    )


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

  Only for the process that trains, see `workdir.lock`.

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
    (_folder(workdir) / str(step)).rename(aside)
    _record(workdir, step).unlink()
    logging.warning('It is now %s, and may be removed.', aside)


def state_creator(config: ConfigDict, model, optimizer):
  """A function without arguments that makes the run's first state."""
  shape = prepare.input_shape(config.data)
  averaged = config.train.average_decay > 0
  return lambda: train_state.create(
    model, optimizer, shape, config.seed, averaged
  )


def abstract(create) -> Any:
  """Shapes, types and placement of what `create` would make."""
  place = lambda x: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=parallel.replicated()
  )
  return jax.tree.map(place, jax.eval_shape(create))


@dataclasses.dataclass
class Run:
  """What is needed to use a trained network."""

  config: ConfigDict
  model: Any
  variables: Any  # replicated over the devices
  step: int
  data: str  # `prepare.identity` of what it was trained on


def load(workdir: pathlib.Path) -> Run:
  """The best network of a run, from its workdir alone.

  Raises:
    UserError: there is no checkpoint in the folder, no whole one, or one whose
      numbers are not finite.
  """
  try:
    return _load(workdir)
  except UserError:
    raise
  except Exception as error:  # Orbax raises all kinds
    reason = ' '.join(str(error).split())[:200]
    raise UserError(
      f'the checkpoints in {_folder(workdir)} cannot be read ({reason}); bring '
      'back a copy of that folder, or train again in another --workdir.'
    ) from error


def _load(workdir):
  if not _folder(workdir).is_dir():
    raise UserError(
      f'{workdir} holds no checkpoint; train one with '
      f'python -m carvana_jax.main --workdir={workdir} --config=…'
    )
  ranks = {step: _saved_rank(workdir, step) for step in _whole_steps(workdir)}
  if not ranks:
    raise UserError(f'{workdir} holds no finished checkpoint yet.')
  step = max(ranks, key=ranks.get)
  notes = _notes(workdir, step)
  config = ConfigDict(notes['config'])
  model = models.build(config.model)
  optimizer = train_state.make_optimizer(config.optimizer, total_steps=1)
  create = state_creator(config, model, optimizer)
  state = _state(workdir, step, abstract(create))
  variables = state.best_variables
  if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
    raise UserError(
      f'the network in {_folder(workdir) / str(step)} has weights that are NaN '
      'or infinite; train again in another --workdir.'
    )
  return Run(config, model, variables, step, notes['data'])


def _folder(workdir):
  return (workdir / 'checkpoints').absolute()


def _record(workdir, step):
  """Where the checksums of a step are."""
  return workdir / 'checksums' / f'{step}.json'


def _steps(workdir):
  """The steps that were saved, from the first to the last."""
  # Orbax gives a folder its number when all is written.
  names = (path.name for path in _folder(workdir).glob('*'))
  return sorted(int(name) for name in names if name.isdigit())


def _whole_steps(workdir):
  """The steps whose files are as they were saved; warns of the others."""
  folder = _folder(workdir)
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


def _saved_rank(workdir, step):
  path = _folder(workdir) / str(step) / 'metrics' / 'metrics'
  return _rank(json.loads(path.read_text()))


def _notes(workdir, step):
  return _restore(workdir, step, notes=ocp.args.JsonRestore())['notes']


def _state(workdir, step, like):
  return _restore(workdir, step, state=ocp.args.StandardRestore(like))['state']


def _restore(workdir, step, **items):
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as reader:
    return reader.restore(
      _folder(workdir) / str(step), args=ocp.args.Composite(**items)
    )
