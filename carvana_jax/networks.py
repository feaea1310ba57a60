"""The trained networks that a command uses: one run's, or several together."""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from carvana_jax import checkpoint, cleaning, prepare, tuning
from carvana_jax.errors import UserError


class Networks(NamedTuple):
  """Networks whose logits are averaged, and how masks are made of these."""

  runs: list[checkpoint.Run]
  masking: (
    ConfigDict  # `config.eval` that threshold and cleaning are taken from
  )

  @property
  def multiview(self) -> bool:
    """Whether one of them is given all views of a car together."""
    return any(run.config.data.multiview for run in self.runs)

  @property
  def data_configs(self) -> list[ConfigDict]:
    """`config.data` of each."""
    return [run.config.data for run in self.runs]

  def identity(self) -> dict[str, Any]:
    """What tells their masks from those of others, as for JSON."""
    return {
      'networks': [_digest(run) for run in self.runs],
      'flip': [run.config.eval.flip for run in self.runs],
      'threshold': self.masking.threshold,
      'cleaning': cleaning.name_of(self.masking),
    }


def load(workdirs: Sequence[str], tuned: bool) -> Networks:
  """The best networks of one or more runs, from their workdirs alone.

  Args:
    workdirs: folders of runs.
    tuned: whether threshold and cleaning are those that were best on the
      validation split; else they are the first run's `config.eval`.

  Raises:
    UserError: a folder holds no checkpoint, or what was best isn't known.
  """
  folders = [pathlib.Path(x).expanduser().absolute() for x in workdirs]
  runs = [checkpoint.load(folder) for folder in folders]
  if not tuned:
    return Networks(runs, runs[0].config.eval)
  if len(runs) > 1:
    raise UserError(
      '--tuned is of no use with several --workdir: their mean was not '
      'evaluated on validation images.'
    )
  return Networks(runs, _tuned(folders[0], runs[0]))


def _tuned(folder, run):
  name = f'{run.config.data.dataset}-validation'
  same = {
    'step': run.step,
    'flip': run.config.eval.flip,
    'source': prepare.source_of(run.data),
  }
  found = tuning.settings(folder / 'evaluation' / name, run.config.eval, same)
  if found is None:
    raise UserError(
      f'{folder} holds no evaluation of validation images with this network; '
      f'run python -m carvana_jax.evaluate --workdir={folder} '
      '--split=validation, or leave out --tuned.'
    )
  return found


def _digest(run: checkpoint.Run) -> str:
  """16 hexadecimal digits that follow from model and variables."""
  digest = hashlib.sha256(run.config.model.to_json(sort_keys=True).encode())
  digest.update(json.dumps([run.config.data.size, run.step]).encode())
  for leaf in _leaves(run.variables):
    digest.update(np.ascontiguousarray(leaf))
  return digest.hexdigest()[:16]


def _leaves(variables) -> Iterable[np.ndarray]:
  return map(np.asarray, jax.tree.leaves(variables))
