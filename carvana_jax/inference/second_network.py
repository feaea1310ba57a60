"""A run's second network: where it is, and that it goes with the first."""

import dataclasses
import json
import pathlib

from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import checkpoint, trained_run


def folder(workdir: pathlib.Path) -> pathlib.Path:
  """Where the second network of a run is, a run of its own."""
  return workdir / 'fine'


def coarse(workdir: pathlib.Path) -> pathlib.Path:
  """Where the first network's probabilities are, for the second one."""
  return workdir / 'coarse'


def record(workdir: pathlib.Path, run: trained_run.Run) -> None:
  """Notes in the second network's folder which first one it is for.

  Args:
    workdir: of the first network.
    run: that network.

  Raises:
    UserError: the second one was trained for another.
  """
  if checkpoint.exists(folder(workdir)):
    _refuse_other(workdir, run)
  folder(workdir).mkdir(exist_ok=True)
  files.write(_record(workdir), json.dumps(_named(run)) + '\n')


def joined(workdir: pathlib.Path, run: trained_run.Run) -> trained_run.Run:
  """The first network with its second one.

  Args:
    workdir: of the first network.
    run: that network.

  Raises:
    UserError: there is no second one, or it was trained for another.
  """
  if not processes.of_first(lambda: checkpoint.exists(folder(workdir))):
    raise UserError(
      f'{workdir} holds no second network; train it with carvana_jax.refine '
      'or leave out --fine.'
    )
  processes.of_first(lambda: _refuse_other(workdir, run))
  fine = trained_run.load(folder(workdir), of_tiles=True)
  return dataclasses.replace(run, fine=fine)


def _refuse_other(workdir, run):
  path = _record(workdir)
  if not path.exists():
    reason = f'does not say in {path.name} which network it is for'
  elif files.read_json(path) != _named(run):
    reason = f'is for another network than is the best of {workdir} now'
  else:
    return
  raise UserError(
    f'{folder(workdir)} {reason}; remove it and train it again with '
    'carvana_jax.refine.'
  )


def _record(workdir):
  return folder(workdir) / 'first.json'


def _named(run):
  return {'network': run.digest()}
