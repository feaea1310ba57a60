"""Scores of the mean of several networks, beside those of each alone."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import folds
from carvana_jax.evaluation import scoring
from carvana_jax.masks import cleaning, thresholds
from carvana_jax.training import checkpoint
from carvana_jax.workflows import out_of_fold


class Scores(NamedTuple):
  """Dice of N photos by K networks; each adds to what stands before it."""

  car_id: np.ndarray  # str [N]
  single: np.ndarray  # float64 [K, N], of each network, at 0.5, without flips
  mean: np.ndarray  # float64 [N], of their mean
  flip: np.ndarray  # float64 [N], with flips, if these were chosen
  threshold: np.ndarray  # float64 [N], at the threshold that was chosen
  cleaning: np.ndarray  # float64 [N], with the cleaning that was chosen


def measure(
  runs: Sequence[checkpoint.Run],
  choice: out_of_fold.Choice,
  builder: tfds.core.DatasetBuilder,
  part: folds.Part,
  path: pathlib.Path,
) -> Scores:
  """Scores photos that none of the networks has seen.

  Args:
    runs: the networks.
    choice: how masks are made of their mean.
    builder: the prepared data set of the full size.
    part: its photos.
    path: of the file that keeps the scores, see `out_of_fold.kept`.
  """
  plain = [run.with_flip(False) for run in runs]
  flipped = [run.with_flip(True) for run in runs] if choice.flip else []

  def score(truth, prediction):
    half = thresholds.level_of(0.5)
    dice = lambda mask: scoring.dice_of(mask, truth.mask)
    single = [
      dice(prediction.of(slice(i, i + 1)).levels() >= half)
      for i in range(len(plain))
    ]
    mean = prediction.of(slice(len(plain))).levels()
    chosen = mean
    if flipped:
      chosen = prediction.of(slice(len(plain), None)).levels()
    mask = chosen >= thresholds.level_of(choice.threshold)
    return truth.label['car_id'], [
      *single,
      dice(mean >= half),
      dice(chosen >= half),
      dice(mask),
      dice(cleaning.clean(mask, choice.cleaning)),
    ]

  def make():
    rows = scoring.for_all(score, [*plain, *flipped], builder, part, 'test')
    cars, dice = zip(*rows, strict=True)
    columns = np.array(dice).T
    return Scores(np.array(cars), columns[:-4], *columns[-4:])._asdict()

  origin = out_of_fold.origin_of(plain, builder) | choice._asdict()
  return Scores(**out_of_fold.kept(path, origin, make))
