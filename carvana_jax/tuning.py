"""The threshold and the cleaning that were best on a validation split."""

import pathlib
from typing import Any

from ml_collections import ConfigDict

from carvana_jax import atomic, cleaning


def settings(
  validation: pathlib.Path, eval_config: ConfigDict, same: dict[str, Any]
) -> ConfigDict | None:
  """`config.eval` with what was best on validation.

  Args:
    validation: the folder of the evaluation of the validation split.
    eval_config: `config.eval` of the run.
    same: entries of its summary.json that must have these values.

  Returns:
    A copy with other threshold, fill_holes and keep_largest; None where there
    is no such evaluation.
  """
  path = validation / 'summary.json'
  if not path.exists():
    return None
  summary = atomic.read_json(path)
  if any(summary.get(name) != value for name, value in same.items()):
    return None
  chosen = ConfigDict(eval_config.to_dict())
  chosen.threshold = summary['best_threshold']
  filled, largest = cleaning.WAYS[summary['best_cleaning']]
  chosen.fill_holes, chosen.keep_largest = filled, largest
  return chosen
