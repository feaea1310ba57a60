"""Reads back the evaluations of a run, some of which may be half written."""

import csv
import math
import pathlib
import types
from collections.abc import Iterable
from typing import Any, NamedTuple

from carvana_jax.datasets import chosen_splits
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import run_folder

# The columns that are read from the tables: texts, then numbers.
_IMAGES = (
  ('filename', 'car_id', 'colour', 'make', 'model'),
  ('dice', 'surface_distance'),
)
_GROUPS = (('by', 'group', 'images', 'cars'), ('dice_mean', 'dice_worst'))
_ERRORS = (('up_to',), ('over', 'missed', 'added', 'share', 'dice_gain'))
# What summary.json must hold, always and where there is an errors.csv.
_NEEDED = {'split': str, 'data': str, 'step': int, 'validation_folds': list}
_NEEDED_TOO = {
  'dice_mean': float | int,
  'ceiling_soft_mean': float | int,
  'network_size': str,
  'size': str,
}


class Evaluation(NamedTuple):
  """The files of one evaluation, as `carvana_jax.evaluate` writes them."""

  name: str  # of its folder
  summary: dict[str, Any]
  images: list[dict[str, str]]  # the worst first
  groups: list[dict[str, str]]
  errors: list[dict[str, str]]  # by distance from the border on

  @property
  def of_test(self) -> bool:
    """Whether its images are those of a test split."""
    return self.summary['split'] == 'test'


def read(workdir: pathlib.Path) -> list[Evaluation]:
  """Reads the evaluations of a run.

  Args:
    workdir: the folder of the run.

  Returns:
    The evaluations at full size by name. One without a summary, which is
    written last, is left out; a table without a file is empty, as errors.csv is
    in older runs.

  Raises:
    UserError: a file is damaged.
  """
  return [
    _evaluation(path) for path in run_folder.evaluation_summaries(workdir)
  ]


def read_at_network_size(workdir: pathlib.Path) -> list[Evaluation]:
  """Reads a run's evaluations at the network's size, which have no tables.

  Args:
    workdir: the folder of the run.

  Raises:
    UserError: a file is damaged.
  """
  return [
    Evaluation(path.parent.name, summary(path, _NEEDED), [], [], [])
    for path in run_folder.evaluation_summaries(workdir, at_network_size=True)
  ]


def _evaluation(path):
  errors = rows(path.with_name('errors.csv'), *_ERRORS)
  counted = ('wrong_far',) if errors else ()
  return Evaluation(
    path.parent.name,
    summary(path, _NEEDED | (_NEEDED_TOO if errors else {})),
    rows(path.with_name('images.csv'), _IMAGES[0], _IMAGES[1] + counted),
    rows(path.with_name('groups.csv'), *_GROUPS),
    errors,
  )


def summary(
  path: pathlib.Path, needed: dict[str, type | types.UnionType]
) -> dict[str, Any]:
  """Reads what an evaluation says of all its images.

  Args:
    path: summary.json.
    needed: the entries that it must hold, and of which type each must be.

  Raises:
    UserError: the file is damaged, or lacks one of them.
  """
  # Runs older than that field have validated on the data set's own folds.
  entries = {
    'validation_folds': list(chosen_splits.STORED.validation_folds),
    **files.read_json(path),
  }
  for name, kind in needed.items():
    if not isinstance(entries.get(name), kind):
      raise UserError(f'{path} does not tell its {name}; evaluate again.')
  return entries


def rows(
  path: pathlib.Path, texts: Iterable[str], numbers: Iterable[str]
) -> list[dict[str, str]]:
  """Reads the rows of a table.

  Args:
    path: a CSV file.
    texts: the columns that must be there.
    numbers: the columns that must hold finite numbers.

  Returns:
    The rows by column; none where there is no such file.

  Raises:
    UserError: the file is damaged, or a row lacks one of the columns.
  """
  if not path.exists():
    return []
  try:
    with path.open(newline='') as file:
      found = list(csv.DictReader(file))
  except (csv.Error, UnicodeDecodeError) as error:
    raise UserError(f'{path} is damaged ({error}); evaluate again.') from error
  for number, row in enumerate(found, 1):
    wrong = [name for name in texts if row.get(name) is None]
    wrong += [name for name in numbers if not _is_finite(row.get(name))]
    if wrong:
      raise UserError(
        f'row {number} of {path} has no right {wrong[0]}; evaluate again.'
      )
  return found


def _is_finite(text):
  try:
    return math.isfinite(float(text))
  except (TypeError, ValueError):
    return False
