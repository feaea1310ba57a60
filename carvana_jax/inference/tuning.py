"""The threshold and the cleaning that were best on a validation split."""

import pathlib
from typing import Any

from ml_collections import ConfigDict

from carvana_jax.masks import cleaning
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


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

  Raises:
    UserError: the evaluation is damaged.
  """
  path = validation / 'summary.json'
  if not path.exists():
    return None
  summary = files.read_json(path)
  if any(summary.get(name) != value for name, value in same.items()):
    return None
  return best(path, summary, eval_config)


def best(
  path: pathlib.Path, found: dict[str, Any], eval_config: ConfigDict
) -> ConfigDict:
  """`config.eval` with the `best_threshold` and `best_cleaning` of a file.

  Args:
    path: of the file, which is named if it is damaged.
    found: what it holds.
    eval_config: `config.eval` of the run; it is copied.
  """
  threshold, way = found.get('best_threshold'), found.get('best_cleaning')
  known = isinstance(threshold, float) and way in tuple(cleaning.WAYS)
  if not known or not 0 < threshold < 1:
    raise UserError(
      f'{path} does not tell what was best; evaluate the validation split '
      'again.'
    )
  chosen = ConfigDict(eval_config.to_dict())
  chosen.threshold = threshold
  filled, largest = cleaning.WAYS[way]
  chosen.fill_holes, chosen.keep_largest = filled, largest
  return chosen
