"""Which checkpoints are in a run's folder, and which of them are whole."""

import json
import pathlib
import shutil

from absl import logging

from carvana_jax.system import checksums, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import crossval_folder


def exists(workdir: pathlib.Path) -> bool:
  """Returns whether a run has left a complete checkpoint in its folder."""
  return bool(steps(workdir))


def folder_of(workdir: pathlib.Path) -> pathlib.Path:
  """Returns the folder of a run's checkpoints, which holds one per step."""
  return (workdir / 'checkpoints').absolute()


def checksums_path(workdir: pathlib.Path, step: int) -> pathlib.Path:
  """Returns where the checksums of a step's files are recorded."""
  return workdir / 'checksums' / f'{step}.json'


def steps(workdir: pathlib.Path) -> list[int]:
  """Returns the steps that were saved, from the first to the last."""
  # Orbax gives a folder its number when everything is written.
  names = (path.name for path in folder_of(workdir).glob('*'))
  return sorted(int(name) for name in names if name.isdigit())


def metrics_path(workdir: pathlib.Path, step: int) -> pathlib.Path:
  """Returns where Orbax keeps the metrics of a step."""
  return folder_of(workdir) / str(step) / 'metrics' / 'metrics'


def rank(workdir: pathlib.Path, step: int) -> tuple[float, int]:
  """Returns what saved steps are compared by; the best has the largest.

  Args:
    workdir: the run's folder.
    step: of a checkpoint that is there.

  Raises:
    UserError: the checkpoint has no score, as those of an older version.
  """
  return rank_of(json.loads(metrics_path(workdir, step).read_text()))


def rank_of(metrics: dict[str, float]) -> tuple[float, int]:
  """As `rank`, from the metrics that were saved with the step."""
  if 'score' not in metrics:
    raise UserError(
      'the run was made by an older version of this code; train it again.'
    )
  return metrics['score'], -metrics['step']


def set_aside_damaged(workdir: pathlib.Path) -> None:
  """Moves damaged checkpoints to the folder `damaged`, warning of each.

  Only the process that trains may call this, see `run_folder.lock`.

  Args:
    workdir: the run's folder.

  Raises:
    UserError: all are damaged; then none is moved.
  """
  whole = _whole_steps(workdir)
  for step in steps(workdir):
    if step in whole:
      continue
    aside = workdir / 'damaged' / str(step)
    aside.parent.mkdir(exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    (folder_of(workdir) / str(step)).rename(aside)
    checksums_path(workdir, step).unlink()
    logging.warning('It is now %s, and may be removed.', aside)


def best_whole_step(workdir: pathlib.Path) -> int:
  """Returns the step of the best checkpoint that is not damaged.

  Args:
    workdir: the run's folder.

  Raises:
    UserError: there is no checkpoint, or all are damaged.
  """
  if not folder_of(workdir).is_dir():
    crossval_folder.refuse_crossval(workdir)
    raise UserError(
      f'{workdir} holds no checkpoint{files.absence(workdir)}; train one with '
      f'python -m carvana_jax.main --workdir={workdir} --config=…'
    )
  ranks = {step: rank(workdir, step) for step in _whole_steps(workdir)}
  if not ranks:
    raise UserError(f'{workdir} holds no finished checkpoint yet.')
  return max(ranks, key=ranks.get)


def _whole_steps(workdir):
  """Returns the steps whose files are as they were saved; warns of others."""
  folder = folder_of(workdir)
  damages = {
    step: checksums.damage(folder / str(step), checksums_path(workdir, step))
    for step in steps(workdir)
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
