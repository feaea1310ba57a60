"""The folder of a cross-validation: a run a fold, and what was chosen.

Its folds group those of the cars (0 to 9, see `spec.fold_of`). Fold 0, the test
split, is in none of them.
"""

import json
import pathlib
from typing import Any

from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# The entries of crossval.json that other commands need.
_NEEDED = {'folds': int, 'networks': list, 'flip': bool}


def run_folders(workdir: pathlib.Path, count: int) -> list[pathlib.Path]:
  """Returns the folders of the runs, the first run's first."""
  return [workdir / f'fold_{number}' for number in range(1, count + 1)]


def summary_path(workdir: pathlib.Path) -> pathlib.Path:
  """Returns the path of crossval.json, which is written when all is done."""
  return workdir / 'crossval.json'


def is_crossval(folder: pathlib.Path) -> bool:
  """Returns whether a folder is a cross-validation's, finished or not."""
  return summary_path(folder).exists() or run_folders(folder, 1)[0].is_dir()


def refuse_crossval(folder: pathlib.Path) -> None:
  """Raises a `UserError` if a folder for one run is a cross-validation's."""
  if is_crossval(folder):
    raise UserError(
      f'{folder} holds a cross-validation; choose another --workdir, or one of '
      f'its runs, {run_folders(folder, 1)[0]} and so on.'
    )


def write(workdir: pathlib.Path, summary: dict[str, Any]) -> None:
  """Writes crossval.json.

  Args:
    workdir: the cross-validation's folder.
    summary: what was chosen and measured, see `read`.
  """
  files.write(summary_path(workdir), json.dumps(summary, indent=2) + '\n')


def read(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads crossval.json.

  Args:
    workdir: the cross-validation's folder.

  Returns:
    `folds`, their number; `networks`, a digest of each; `flip`,
    `best_threshold` and `best_cleaning`; and what `crossval` adds.

  Raises:
    UserError: the cross-validation is unfinished, or the file is damaged.
  """
  path = summary_path(workdir)
  if not path.exists():
    raise UserError(
      f'{workdir} holds an unfinished cross-validation; give '
      'carvana_jax.crossval the same command again, or name its folders fold_1 '
      'and so on one by one.'
    )
  summary = files.read_json(path)
  for name, kind in _NEEDED.items():
    if not isinstance(summary.get(name), kind):
      raise UserError(
        f'{path} does not tell its {name}; remove it and give '
        'carvana_jax.crossval the same command again.'
      )
  return summary
