"""Scores the mean of several networks, and shows what each step adds."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import folds
from carvana_jax.datasets.names import group_word
from carvana_jax.evaluation import scoring
from carvana_jax.masks import cleaning, from_logits
from carvana_jax.metrics import bootstrap
from carvana_jax.training import trained_run
from carvana_jax.workflows import out_of_fold


class Scores(NamedTuple):
  """Dice of N photos by K networks; each field adds a step to those before."""

  car_id: np.ndarray  # str [N]
  single: np.ndarray  # float64 [K, N], of each network, at 0.5, without flips
  mean: np.ndarray  # float64 [N], of the mean of their logits
  flip: np.ndarray  # float64 [N], with flips, if flips were chosen
  threshold: np.ndarray  # float64 [N], at the threshold that was chosen
  cleaning: np.ndarray  # float64 [N], with the cleaning that was chosen


def measure_ensemble(
  runs: Sequence[trained_run.Run],
  choice: out_of_fold.Choice,
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  path: pathlib.Path,
) -> Scores:
  """Scores photos that none of the networks has seen.

  Args:
    runs: the networks.
    choice: how masks are made of their mean.
    builder: the prepared data set of the full size.
    part: its photos.
    path: of the file that keeps the scores, see `out_of_fold.load_or_compute`.

  Returns:
    The scores, of the photos in the order of `part`.
  """
  plain = [run.with_flip(False) for run in runs]
  flipped = [run.with_flip(True) for run in runs] if choice.flip else []

  def score(truth, prediction):
    half = from_logits.level_of(0.5)
    dice = lambda mask: scoring.dice_of(mask, truth.mask)
    single = [
      dice(prediction.select(slice(i, i + 1)).levels() >= half)
      for i in range(len(plain))
    ]
    mean = prediction.select(slice(len(plain))).levels()
    chosen = mean
    if flipped:
      chosen = prediction.select(slice(len(plain), None)).levels()
    mask = chosen >= from_logits.level_of(choice.threshold)
    return truth.label['car_id'], [
      *single,
      dice(mean >= half),
      dice(chosen >= half),
      dice(mask),
      dice(cleaning.clean(mask, choice.cleaning)),
    ]

  def compute():
    rows = scoring.map_predictions(
      score, [*plain, *flipped], builder, part, 'test'
    )
    cars, dice = zip(*rows, strict=True)
    columns = np.array(dice).T
    return Scores(np.array(cars), columns[:-4], *columns[-4:])._asdict()

  origin = out_of_fold.origin_of(plain, builder) | choice._asdict()
  return Scores(**out_of_fold.load_or_compute(path, origin, compute))


def gains_out_of_fold(
  rows: Sequence[dict[str, Any]], choice: out_of_fold.Choice
) -> list[dict[str, Any]]:
  """Shows what each step adds on the photos out of fold.

  Args:
    rows: as returned by `out_of_fold.rows`.
    choice: what was chosen on these photos.

  Returns:
    Rows of `gains_table`. Each adds a step to the row before, except that a
    flip that was not chosen is left out again in the rows after its own.
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


def gains_on_test(
  scores: Scores, choice: out_of_fold.Choice
) -> list[dict[str, Any]]:
  """Shows what each step adds on the test split. Averaging is the first step.

  Args:
    scores: of the test split's photos.
    choice: what was chosen on other photos.

  Returns:
    Rows of `gains_table`. The first is that of a single network: mean, median
    and worst Dice of each network, averaged over the networks.
  """
  row = lambda name, dice: _row(name, [dice], scores.car_id)
  rows = [
    _row(f'one network, mean of {len(scores.single)}', scores.single,
         scores.car_id),
    row('their ensemble', scores.mean),
  ]  # fmt: skip
  if choice.flip:
    rows.append(row('flip', scores.flip))
  return [
    *rows,
    row(f'threshold {choice.threshold:.3f}', scores.threshold),
    row(f'cleaning: {choice.cleaning}', scores.cleaning),
  ]


def _row(name, by_network, cars):
  """Makes a row of the Dice [N] of one network, or the mean over several."""
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


def gains_table(summary: dict[str, Any]) -> str:
  """Formats what each step adds, in lines of at most 80 columns.

  Args:
    summary: what crossval.json holds.
  """
  word = group_word(summary.get('dataset', ''))
  interval = f'95 % by {word}'
  lines = [f'{"":31}{"mean":>9}{"median":>9}{"worst":>9}{interval:>21}']
  for name, title in ('out_of_fold', 'out of fold'), ('test', 'test'):
    images, cars = summary[name][0]['images'], summary[name][0]['cars']
    lines.append(f'{title}: {images} photos of {cars} {word}s')
    for row in summary[name]:
      low, high = row['dice_interval']
      lines.append(
        f'  {row["name"]:29}{row["dice_mean"]:9.5f}{row["dice_median"]:9.5f}'
        f'{row["dice_worst"]:9.5f}{f"{low:.5f} to {high:.5f}":>21}'
      )
  return '\n'.join(lines)
