"""What a run's folder holds of its evaluations, some of them half written."""

import csv
import pathlib
from typing import Any, NamedTuple

from carvana_jax import atomic


class Evaluation(NamedTuple):
  """The files of one evaluation, as `carvana_jax.evaluate` writes them."""

  name: str  # of its folder
  summary: dict[str, Any]
  images: list[dict[str, str]]  # the worst first
  groups: list[dict[str, str]]

  @property
  def of_test(self) -> bool:
    """Whether its images are those of a test split."""
    return self.summary['split'] == 'test'


def read(workdir: pathlib.Path) -> list[Evaluation]:
  """The evaluations of a run, by name.

  One without a summary, which is written last, is left out; of one without
  one of the tables, that table is empty.
  """
  return [
    Evaluation(
      path.parent.name,
      atomic.read_json(path),
      _rows(path.with_name('images.csv')),
      _rows(path.with_name('groups.csv')),
    )
    for path in sorted(workdir.glob('evaluation/*/summary.json'))
  ]


def _rows(path):
  if not path.exists():
    return []
  with path.open(newline='') as file:
    return list(csv.DictReader(file))
