"""What an evaluation says of how its run has split the photos."""

from typing import Any

import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import chosen_splits, folds, names, prepare
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run


def refuse_moved(
  run: trained_run.Run,
  splits: chosen_splits.Splits,
  data_config: ConfigDict,
  origin: str,
) -> None:
  """Refuses photos of which some may be in other splits than in training.

  Args:
    run: a trained network.
    splits: how its config splits photos.
    data_config: `config.data` of the photos to score.
    origin: `prepare.identity` of these.

  Raises:
    UserError: they are other photos, and splits are by shares.
  """
  there, here = prepare.source_of(run.data), prepare.source_of(origin)
  if splits.shares and not prepare.are_same(data_config, there, here):
    raise UserError(
      f'the run has split {there} by config.data.split_shares='
      f'{splits.shares}, and {here} holds other photos, of which any may have '
      'been trained on; give the same ones, or --split=all.'
    )


def facts(
  splits: chosen_splits.Splits,
  split: str,
  part: folds.Selection,
  builder: tfds.core.DatasetBuilder,
) -> dict[str, Any]:
  """Returns what summary.json says of splits that a run has chosen.

  Args:
    splits: how the run splits photos.
    split: train, validation, test or all.
    part: the photos of that split.
    builder: the prepared data set.

  Returns:
    `splits`, `splits_text` and `leak`: whether other views of the cars that are
    scored may have been trained on; {} for the usual splits.
  """
  if split == 'all' or not (splits.shares or splits.first):
    return {}
  return {
    'splits': splits.facts(),
    'splits_text': splits.text(builder.name),
    'leak': split != 'train' and len(part.others) > 0,
  }


def lines(summary: dict[str, Any]) -> list[str]:
  """Returns lines that tell how a run has split its photos, if it chose that.

  Args:
    summary: what summary.json holds.
  """
  found = []
  if 'splits_text' in summary:
    found.append(f'split {summary["splits_text"]}')
  if summary.get('leak'):
    word = names.group_word(summary['dataset'])
    found.append(
      f'other views of these {word}s are in other splits: scores are too high'
    )
  return found


def in_words(summary: dict[str, Any]) -> str:
  """Returns the split, for validation with its folds if they are not the usual.

  Args:
    summary: what summary.json holds.
  """
  chosen = summary['validation_folds']
  usual = chosen_splits.STORED.validation_folds
  if summary['split'] != 'validation' or tuple(chosen) == usual:
    return summary['split']
  return f'validation (folds {", ".join(map(str, chosen))})'
