"""The photos that an evaluation has scored."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from carvana_jax.datasets import chosen_splits, folds, reading
from carvana_jax.datasets.chosen_splits import Splits


def of(
  summary: Mapping[str, Any],
) -> tuple[Sequence[Mapping[str, Any]], folds.Selection]:
  """Opens the data of an evaluation.

  Args:
    summary: what its summary.json holds, with `data` that are there.

  Returns:
    Examples at full size whose pictures are not decoded, and which of them were
    scored.

  Raises:
    UserError: the data are damaged, or have no such split any more.
  """
  builder = reading.open_folder(pathlib.Path(summary['data']))
  reading.refuse_damaged(builder)
  splits = chosen_splits.from_facts(summary.get('splits'))
  if splits is None:
    splits = Splits(tuple(summary['validation_folds']))
  part = folds.select(builder, summary['split'], splits)
  return reading.undecoded_examples(builder, part.split), part
