"""Scores every image of a split at full size; each gets a row.

What is scored is in `metrics.table`. Several processes share the images; each
gets all the scores.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import folds, images, reading
from carvana_jax.datasets.multiview import cropping
from carvana_jax.datasets.names import is_own
from carvana_jax.evaluation import car_groups
from carvana_jax.inference import predictor
from carvana_jax.inference.prediction import Prediction
from carvana_jax.masks import cleaning, from_logits
from carvana_jax.metrics import border, error_bands, overlap, table
from carvana_jax.parallel import processes
from carvana_jax.system import progress, threads
from carvana_jax.training import trained_run

_LABELS = ('filename', 'car_id', 'view', 'make', 'model')


class Scored(NamedTuple):
  """The scores of one image."""

  row: dict[str, Any]  # labels, colour, scores and more, as in images.csv
  dice_by_level: list[float]  # 256, see `overlap.dice_by_level`
  dice_tuned: float | None
  errors: list[list[float]]  # by distance, see `error_bands.by_distance`


class Truth(NamedTuple):
  """What a prediction is compared with."""

  label: dict[str, Any]
  mask: np.ndarray  # bool [H, W]


def score_images(
  run: trained_run.Run,
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  tuned: ConfigDict | None = None,
) -> list[Scored]:
  """Scores every image of a part of a data set.

  Args:
    run: a trained network.
    builder: the prepared data set of the full size.
    part: the images of it that are scored.
    tuned: another `config.eval`, whose Dice is wanted as well.

  Returns:
    The scores of each image; car by car where the network compares views.
  """
  own = is_own(builder.name)
  score = lambda *pair: _score(*pair, run.config, tuned, own)
  results = map_predictions(score, [run], builder, part, part.split)
  return [Scored(*result) for result in results]


def dice_by_cleaning(
  run: trained_run.Run,
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  threshold: float,
) -> list[list[float]]:
  """Takes the Dice of every image for every way in `cleaning.WAYS`.

  Args:
    run: a trained network.
    builder: the prepared data set of the full size.
    part: the images of it that are scored.
    threshold: the probability, 0..1, from which on a pixel is car.

  Returns:
    For each image, the Dice of each way, in the order of `cleaning.WAYS`.
  """

  def dice(truth, prediction):
    mask = prediction.levels() >= from_logits.level_of(threshold)
    return [dice_of(cleaning.clean(mask, x), truth.mask) for x in cleaning.WAYS]

  return map_predictions(dice, [run], builder, part, 'cleaning')


def map_predictions(
  function: Callable[[Truth, Prediction], Any],
  runs: Sequence[trained_run.Run],
  builder: tfds.core.DatasetBuilder,
  part: folds.Selection,
  title: str,
) -> list[Any]:
  """Calls a function on the networks' prediction of every image.

  Args:
    function: what to call, in threads; its results can be written as JSON.
    runs: trained networks.
    builder: the prepared data set of the full size.
    part: the images of it that are predicted.
    title: the title of the progress bar.

  Returns:
    The result for each image; car by car where a network compares views.
  """
  source = reading.undecoded_examples(builder, part.split)
  wanted = set(part.positions.tolist())
  groups = [[position] for position in part.positions.tolist()]
  if any(run.compares_views for run in runs):
    groups = list(folds.cars_of(source, part.all_views()).values())
  own = groups[processes.own_slice()]
  truths = _truths(source, own, wanted, runs)
  predicted = predictor.predictions(runs, truths)
  counts = [len(wanted.intersection(group)) for group in own]
  results = progress.bar(
    threads.ordered_map(lambda pair: function(*pair), predicted),
    total=sum(counts),
    title=title,
    unit='image',
  )
  stream = iter(results)
  by_group = [list(itertools.islice(stream, count)) for count in counts]
  return list(itertools.chain(*processes.interleave(by_group)))


def _truths(source, groups, wanted, runs):
  """Yields the truth of wanted images, and what networks are given of them."""
  photo = lambda index: images.decode_photo(source[index]['image'])

  def load(item):
    index, given = item
    example = source[index]
    label = {name: _label(example[name]) for name in _LABELS}
    mask = images.decode_mask(example['mask']) > 127
    return Truth(label, mask), given

  given = predictor.inputs(
    groups,
    photo,
    [run.config.data for run in runs],
    keep_photos=any(run.fine for run in runs),
  )
  return threads.ordered_map(load, (x for x in given if x[0] in wanted))


def _label(value):
  """A feature of an example as str or int."""
  return value.decode() if isinstance(value, bytes) else int(value)


def _score(truth, prediction, config, tuned, own):
  levels = prediction.levels()
  predicted = from_logits.mask_of(levels, config.eval)
  (given,) = prediction.given.inputs
  box = given.box
  if box is None:
    box = np.array([0, 0, *truth.mask.shape])
  pair = border.mask_pair(predicted, truth.mask)
  image = table.ScoredImage(predicted, truth.mask, pair, given.shown, box)
  errors = error_bands.by_distance(pair)
  row = {
    **truth.label,
    'colour': _colour(truth, given, box),
    **table.scores(image),
    'wrong_far': error_bands.count_far(errors),
  }
  if own:  # photos differ in size, and show anything
    row['height'], row['width'] = truth.mask.shape
  else:
    row['body'] = car_groups.body_of(
      truth.mask, truth.label['view'], truth.label['model']
    )
  dice = None
  if tuned is not None:
    dice = dice_of(from_logits.mask_of(levels, tuned), truth.mask)
  by_level = overlap.dice_by_level(levels, truth.mask).tolist()
  return Scored(row, by_level, dice, errors)


def dice_of(predicted: np.ndarray, actual: np.ndarray) -> float:
  """Returns the Dice of two masks, bool [H, W] each."""
  return overlap.mask_scores(predicted, actual)['dice']


def _colour(truth, given, box):
  full = images.mask_pixels(truth.mask)
  mask = cropping.cut(full, box, *given.shown)
  return car_groups.colour_of(given.cut(given.image)[..., :3], mask)
