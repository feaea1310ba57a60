"""What each step of a cross-validation adds, as a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from carvana_jax.metrics import bootstrap
from carvana_jax.workflows import ensemble_scores, out_of_fold


def on_folds(
  rows: Sequence[dict[str, Any]], choice: out_of_fold.Choice
) -> list[dict[str, Any]]:
  """What each step adds on the photos out of fold.

  Args:
    rows: from `out_of_fold.rows`.
    choice: what was chosen on them.

  Returns:
    Rows of the table, each of which adds to the one before, but for a flip that
    was not chosen.
  """
  cars = [row['car_id'] for row in rows]
  dice = lambda name: [np.array([row[name] for row in rows])]
  flipped = '' if choice.flip else ', not chosen'
  threshold = 'dice_flip_threshold' if choice.flip else 'dice_threshold'
  return [
    _row('one network', dice('dice'), cars),
    _row(f'flip{flipped}', dice('dice_flip'), cars),
    _row(f'threshold {choice.threshold:.3f}', dice(threshold), cars),
    _row(f'cleaning: {choice.cleaning}', dice('dice_chosen'), cars),
  ]


def on_test(
  scores: ensemble_scores.Scores, choice: out_of_fold.Choice
) -> list[dict[str, Any]]:
  """What each step adds on the test split, the first one being to average.

  Args:
    scores: of the test split's photos.
    choice: what was chosen on other photos.

  Returns:
    Rows of the table; the first has the networks' mean mean, mean median and
    mean worst Dice.
  """
  row = lambda name, dice: _row(name, [dice], scores.car_id)
  found = [
    _row(f'one network, mean of {len(scores.single)}', scores.single,
         scores.car_id),
    row('their ensemble', scores.mean),
  ]  # fmt: skip
  if choice.flip:
    found.append(row('flip', scores.flip))
  return [
    *found,
    row(f'threshold {choice.threshold:.3f}', scores.threshold),
    row(f'cleaning: {choice.cleaning}', scores.cleaning),
  ]


def _row(name, by_network, cars):
  """What is told of the Dice [N] of one network, or the mean over several."""
  mean = lambda function: float(np.mean([function(x) for x in by_network]))
  return {
    'name': name,
    'dice_mean': mean(np.mean),
    'dice_median': mean(np.median),
    'dice_worst': mean(np.min),
    'dice_interval': bootstrap.interval(np.mean(by_network, axis=0), cars),
    'images': len(cars),
    'cars': len(set(cars)),
  }


def table(found: dict) -> str:
  """What each step adds, in lines of at most 80 columns.

  Args:
    found: what crossval.json holds.
  """
  lines = [f'{"":31}{"mean":>9}{"median":>9}{"worst":>9}{"95 % by car":>21}']
  for name, title in ('out_of_fold', 'out of fold'), ('test', 'test'):
    images, cars = found[name][0]['images'], found[name][0]['cars']
    lines.append(f'{title}: {images} photos of {cars} cars')
    for row in found[name]:
      low, high = row['dice_interval']
      lines.append(
        f'  {row["name"]:29}{row["dice_mean"]:9.5f}{row["dice_median"]:9.5f}'
        f'{row["dice_worst"]:9.5f}{f"{low:.5f} to {high:.5f}":>21}'
      )
  return '\n'.join(lines)
