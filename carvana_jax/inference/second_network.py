"""A run's second network: where it is, and that it goes with the first."""

import dataclasses
import json
import pathlib

from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import saved_steps, trained_run


def folder_of(workdir: pathlib.Path) -> pathlib.Path:
  """Where the second network of a run is, a run of its own."""
  return workdir / 'fine'


def probabilities_folder(workdir: pathlib.Path) -> pathlib.Path:
  """Where the first network's probabilities are, for the second one."""
  return workdir / 'coarse'


def record_first_network(workdir: pathlib.Path, run: trained_run.Run) -> None:
  """Notes in the second network's folder which first one it is for.

  Args:
    workdir: of the first network.
    run: that network.

  Raises:
    UserError: the second one was trained for another.
  """
  if saved_steps.exists(folder_of(workdir)):
    _refuse_other(workdir, run)
  folder_of(workdir).mkdir(exist_ok=True)
  files.write(_record(workdir), json.dumps(_named(run)) + '\n')


def with_second_network(
  workdir: pathlib.Path, run: trained_run.Run
) -> trained_run.Run:
  """The first network with its second one.

  Args:
    workdir: of the first network.
    run: that network.

  Raises:
    UserError: there is no second one, or it was trained for another.
  """
  if not processes.broadcast_result(
    lambda: saved_steps.exists(folder_of(workdir))
  ):
    raise UserError(
      f'{workdir} holds no second network; train it with carvana_jax.refine '
      'or leave out --fine.'
    )
  processes.broadcast_result(lambda: _refuse_other(workdir, run))
  fine = trained_run.load(folder_of(workdir), of_tiles=True)
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
    f'{folder_of(workdir)} {reason}; remove it and train it again with '
    'carvana_jax.refine.'
  )


def _record(workdir):
  return folder_of(workdir) / 'first.json'


def _named(run):
  return {'network': run.digest()}
