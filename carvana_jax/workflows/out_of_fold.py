"""Scores every photo by the one network that never saw its car.

From these scores follow the flip, the threshold and the cleaning. They are kept
in files, so that nothing is measured twice.
"""

import io
import json
import lzma
import pathlib
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import folds, images, spec
from carvana_jax.datasets.names import PROBABILITY_ENDING
from carvana_jax.evaluation import scoring
from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap
from carvana_jax.system import files
from carvana_jax.training import trained_run

# What NumPy and the libraries beneath it raise where an .npz is damaged.
_DAMAGE = (
  EOFError,
  OSError,
  RuntimeError,
  TypeError,
  ValueError,
  lzma.LZMAError,
  tokenize.TokenError,
  zipfile.BadZipFile,
  zlib.error,
)


class Scores(NamedTuple):
  """Dice of N photos, without (0) and with (1) their mirror images."""

  filename: np.ndarray  # str [N]
  car_id: np.ndarray  # str [N]
  view: np.ndarray  # int64 [N]
  dice: np.ndarray  # float64 [2, N, 256], see `overlap.dice_by_level`


class Choice(NamedTuple):
  """How masks are made of the ensemble's logits."""

  flip: bool  # whether they are averaged with those of the mirrored photo
  threshold: float  # 0..1
  cleaning: str  # a key of `cleaning.WAYS`


def measure_dice(
  run: trained_run.Run,
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  path: pathlib.Path,
) -> Scores:
  """Scores photos at every threshold, with and without flips.

  Args:
    run: a network that has not seen these cars.
    builder: the prepared data set of the full size.
    part: its photos.
    path: of the file that keeps the scores.

  Returns:
    The scores, of the photos in the order of `part`.
  """

  def score(truth, prediction):
    dice = [
      overlap.dice_by_level(
        prediction.select(network).levels(), truth.mask
      ).tolist()
      for network in (slice(0, 1), slice(1, 2))
    ]
    label = truth.label
    return label['filename'], label['car_id'], label['view'], dice

  def compute():
    runs = [run.with_flip(flip) for flip in (False, True)]
    rows = scoring.map_predictions(score, runs, builder, part, 'out of fold')
    *columns, dice = map(np.array, zip(*rows, strict=True))
    return Scores(*columns, np.moveaxis(dice, 1, 0))._asdict()

  return Scores(**load_or_compute(path, origin_of([run], builder), compute))


def best_flip(scores: Sequence[Scores]) -> tuple[bool, float]:
  """Chooses flip and threshold by the highest mean Dice over all photos.

  Args:
    scores: of every fold.

  Returns:
    Whether to flip, and the threshold, 0..1.
  """
  plain, flipped = [
    overlap.best_threshold(dice)
    for dice in np.concatenate([fold.dice for fold in scores], axis=1)
  ]
  flip = flipped[1] > plain[1]
  return flip, (flipped if flip else plain)[0]


def measure_cleaning(
  run: trained_run.Run,
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  threshold: float,
  path: pathlib.Path,
) -> np.ndarray:
  """Scores photos for every way of cleaning in `cleaning.WAYS`.

  Args:
    run: a network that has not seen these cars, with the flip that is wanted.
    builder: the prepared data set of the full size.
    part: its photos.
    threshold: the probability, 0..1, from which on a pixel is car.
    path: of the file that keeps the scores.

  Returns:
    float64 [N, ways], of the photos in the order of `measure_dice`.
  """
  origin = origin_of([run], builder) | {'threshold': threshold}
  compute = lambda: {
    'dice': np.array(scoring.dice_by_cleaning(run, builder, part, threshold))
  }
  return load_or_compute(path, origin, compute)['dice']


def save_probabilities(
  run: trained_run.Run,
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  path: pathlib.Path,
) -> None:
  """Writes NAME_probability.png of photos, as `predict` does.

  Args:
    run: a network that has not seen these cars, with the flip that is wanted.
    builder: the prepared data set of the full size.
    part: its photos.
    path: of a file that is written when all are done; they go beside it.
  """

  def save(truth, prediction):
    name = spec.stem_of(truth.label['filename'])
    pixels = from_logits.probabilities(prediction.levels())
    target = path.parent / f'{name}{PROBABILITY_ENDING}'
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write(target, images.encode_png(pixels))

  def compute():
    scoring.map_predictions(save, [run], builder, part, 'probabilities')
    return {}

  load_or_compute(path, origin_of([run], builder), compute)


def rows(
  scores: Sequence[Scores], threshold: float, chosen: np.ndarray
) -> list[dict[str, Any]]:
  """Makes the table of all photos, the worst first.

  Args:
    scores: of every fold.
    threshold: the threshold that was chosen, 0..1.
    chosen: Dice [N] of all folds' photos with all that was chosen.

  Returns:
    A row for every photo. `fold` is the number of the run that has not seen the
    car. `dice` and `dice_flip` are at 0.5, `dice_threshold` and
    `dice_flip_threshold` at the threshold that was chosen, and `dice_chosen` is
    with all that was chosen.
  """
  half, level = map(from_logits.level_of, (0.5, threshold))
  best = iter(chosen.tolist())
  table = [
    {
      'filename': str(fold.filename[i]),
      'car_id': str(fold.car_id[i]),
      'view': int(fold.view[i]),
      'fold': number,
      'dice': float(fold.dice[0, i, half]),
      'dice_flip': float(fold.dice[1, i, half]),
      'dice_threshold': float(fold.dice[0, i, level]),
      'dice_flip_threshold': float(fold.dice[1, i, level]),
      'dice_chosen': next(best),
    }
    for number, fold in enumerate(scores, 1)
    for i in range(len(fold.filename))
  ]
  return sorted(table, key=lambda row: row['dice_chosen'])


def load_or_compute(
  path: pathlib.Path,
  origin: dict[str, Any],
  compute: Callable[[], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """Reads arrays from a file; computes and writes them unless they are there.

  A file that is there but damaged, or of another origin, is named and replaced.

  Args:
    path: of the file, .npz.
    origin: what the arrays follow from, as for JSON.
    compute: makes the arrays, by name.

  Returns:
    The arrays, by name.
  """
  text = json.dumps(origin, sort_keys=True)
  saved = _read_arrays(path)
  if saved is not None:
    if str(saved.pop('origin', '')) == text:
      return saved
    _say_unused(path, 'is of other networks, data or settings')
  path.parent.mkdir(parents=True, exist_ok=True)
  arrays = compute()
  stream = io.BytesIO()
  np.savez_compressed(stream, origin=text, **arrays)
  files.write(path, stream.getvalue())
  return arrays


def origin_of(
  runs: Sequence[trained_run.Run], builder: tfds.core.DatasetBuilder
) -> dict[str, Any]:
  """Returns what scores follow from, see `load_or_compute`.

  Args:
    runs: the networks that are scored.
    builder: the prepared data set that they are scored on.
  """
  return {
    'networks': [run.digest() for run in runs],
    'flip': [run.config.eval.flip for run in runs],
    'data': str(builder.data_path),
  }


def _read_arrays(path):
  """Returns the arrays in a file, None where it is missing or damaged."""
  try:
    with np.load(path, allow_pickle=False) as file:
      return dict(file)
  except FileNotFoundError:
    return None
  except _DAMAGE as error:
    _say_unused(path, f'is damaged ({" ".join(str(error).split())})')
    return None


def _say_unused(path, reason):
  print(f'{path} {reason}; it is made again', flush=True)
