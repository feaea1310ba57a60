"""A run's second network: where it is, and which first network it is for."""

import dataclasses
import json
import pathlib

from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import network_file, saved_steps, trained_run


def folder_of(workdir: pathlib.Path) -> pathlib.Path:
  """Returns the folder of a run's second network, which is a run of its own."""
  return workdir / 'fine'


def probabilities_folder(workdir: pathlib.Path) -> pathlib.Path:
  """Returns the folder of the first network's probabilities, for the second."""
  return workdir / 'coarse'


def given_folder(workdir: pathlib.Path) -> pathlib.Path:
  """Returns the folder of probabilities of which some are of other networks."""
  return workdir / 'coarse_given'


def claim_for_first_network(
  workdir: pathlib.Path, run: trained_run.Run
) -> None:
  """Records in the second network's folder which first network it is for.

  Args:
    workdir: the first network's folder.
    run: the first network.

  Raises:
    UserError: the second network there was trained for another first one.
  """
  if saved_steps.exists(folder_of(workdir)):
    _refuse_other(workdir, run)
  folder_of(workdir).mkdir(exist_ok=True)
  files.write(_record_path(workdir), json.dumps(_record_of(run)) + '\n')


def with_second_network(
  workdir: pathlib.Path, run: trained_run.Run
) -> trained_run.Run:
  """Loads the second network of a run.

  Args:
    workdir: the first network's folder, or a file that holds both.
    run: the first network.

  Returns:
    The first network with its second one.

  Raises:
    UserError: there is no second network, or it was trained for another first
      one.
  """
  if network_file.is_one(workdir):
    fine = trained_run.load_file(workdir, fine=True)
    return dataclasses.replace(run, fine=fine)
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
  path = _record_path(workdir)
  if not path.exists():
    reason = f'does not say in {path.name} which network it is for'
  elif files.read_json(path) != _record_of(run):
    reason = f'is for another network than is the best of {workdir} now'
  else:
    return
  raise UserError(
    f'{folder_of(workdir)} {reason}; remove it and train it again with '
    'carvana_jax.refine.'
  )


def _record_path(workdir):
  return folder_of(workdir) / 'first.json'


def _record_of(run):
  return {'network': run.digest()}
