"""A run's second network: where it is, and that it goes with the first."""

import dataclasses
import json
import pathlib

from carvana_jax import atomic, checkpoint, processes
from carvana_jax.errors import UserError


def folder(workdir: pathlib.Path) -> pathlib.Path:
  """Where the second network of a run is, a run of its own."""
  return workdir / 'fine'


def coarse(workdir: pathlib.Path) -> pathlib.Path:
  """Where the first network's probabilities are, which the second learns from.

  `network.json` in there tells which network that was.
  """
  return workdir / 'coarse'


def record(workdir: pathlib.Path, run: checkpoint.Run) -> None:
  """Notes whose probabilities are to come.

  Args:
    workdir: of the first network.
    run: that network.

  Raises:
    UserError: those of another network are there.
  """
  place = coarse(workdir)
  _refuse_other(workdir, run)
  place.mkdir(exist_ok=True)
  atomic.write(_record(workdir), json.dumps({'network': run.digest()}) + '\n')


def joined(workdir: pathlib.Path, run: checkpoint.Run) -> checkpoint.Run:
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
  fine = checkpoint.load(folder(workdir), of_tiles=True)
  return dataclasses.replace(run, fine=fine)


def _refuse_other(workdir, run):
  path = _record(workdir)
  if path.exists() and atomic.read_json(path) != {'network': run.digest()}:
    raise UserError(
      f'{folder(workdir)} is for another network than is the best of {workdir} '
      f'now; remove it and {coarse(workdir)}, and train it again with '
      'carvana_jax.refine.'
    )


def _record(workdir):
  return coarse(workdir) / 'network.json'
