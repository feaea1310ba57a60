"""A row of scores for every image of a split, at full size.

Several processes share the images; each learns all the scores.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict
from tqdm import tqdm

from carvana_jax import (
  body,
  boundary,
  ceiling,
  checkpoint,
  cleaning,
  colours,
  error_bands,
  metrics,
  predictor,
  processes,
  thresholds,
)
from carvana_jax.datasets import images, spec, workers
from carvana_jax.datasets.multiview import cars, views

_LABELS = ('filename', 'car_id', 'view', 'make', 'model')


class Scored(NamedTuple):
  """What is known of one image's prediction."""

  row: dict[str, Any]  # labels, colour, body and scores, as in images.csv
  dice_by_level: list[float]  # 256, see `thresholds.dice`
  dice_tuned: float | None
  errors: list[list[float]]  # by distance, see `error_bands.of`


class _Truth(NamedTuple):
  """What a prediction is compared with."""

  label: dict[str, Any]
  mask: np.ndarray  # bool [H, W]


def score(
  run: checkpoint.Run,
  builder: tfds.core.DatasetBuilder,
  split: str,
  tuned: ConfigDict | None = None,
) -> list[Scored]:
  """Scores every image of a split.

  Args:
    run: a trained network.
    builder: the prepared data set of the full size.
    split: as TFDS names it.
    tuned: another `config.eval`, whose Dice is wanted as well.

  Returns:
    One result an image; car by car where the network compares views.
  """
  scored = lambda truth, prediction: _scored(
    truth, prediction, run.config, tuned
  )
  results = _for_all(scored, run, builder, split, split)
  return [Scored(*result) for result in results]


def dice_by_cleaning(
  run: checkpoint.Run,
  builder: tfds.core.DatasetBuilder,
  split: str,
  threshold: float,
) -> list[list[float]]:
  """Dice of every image of a split for every way in `cleaning.WAYS`.

  Args:
    run: a trained network.
    builder: the prepared data set of the full size.
    split: as TFDS names it.
    threshold: from which probability, 0..1, a pixel is car.
  """

  def dice(truth, prediction):
    mask = prediction.levels() >= thresholds.level_of(threshold)
    return [_dice(cleaning.clean(mask, x), truth.mask) for x in cleaning.WAYS]

  return _for_all(dice, run, builder, split, 'cleaning')


def _for_all(function, run, builder, split, title):
  """`function(truth, prediction)`, as for JSON, of every image of a split."""
  skip = tfds.decode.SkipDecoding()
  source = builder.as_data_source(split, decoders={'image': skip, 'mask': skip})
  groups = [[index] for index in range(len(source))]
  if run.config.data.multiview:
    groups = list(cars.cars_of(source).values())
  own = groups[processes.part()]
  truths = _truths(source, own, run.config.data)
  predicted = predictor.predictions([run], truths)
  results = tqdm(
    workers.ordered_map(lambda pair: function(*pair), predicted),
    total=sum(map(len, own)),
    desc=title,
    unit='image',
    leave=False,
    disable=None,
  )
  stream = iter(results)
  by_group = [list(itertools.islice(stream, len(group))) for group in own]
  return list(itertools.chain(*processes.interleave(by_group)))


def _truths(source, groups, data_config):
  """Yields (truth, what the network is given) for every image."""
  photo = lambda index: images.decode_photo(source[index]['image'])

  def load(item):
    index, given = item
    example = source[index]
    label = {name: _plain(example[name]) for name in _LABELS}
    mask = images.decode_mask(example['mask']) > 127
    return _Truth(label, mask), given

  return workers.ordered_map(
    load, predictor.inputs(groups, photo, [data_config])
  )


def _plain(value):
  """A feature as str or int."""
  return value.decode() if isinstance(value, bytes) else int(value)


def _scored(truth, prediction, config, tuned):
  levels = prediction.levels()
  predicted = predictor.mask_of(levels, config.eval)
  (given,) = prediction.given.inputs
  box = given.box
  if box is None:
    box = np.array([0, 0, *truth.mask.shape])
  network_size = spec.parse_size(config.data.size)
  pair = boundary.pair(predicted, truth.mask)
  errors = error_bands.of(pair)
  row = {
    **truth.label,
    'colour': _colour(truth, given.image, box),
    **metrics.mask_scores(predicted, truth.mask),
    **boundary.scores(pair),
    **ceiling.dice(truth.mask, network_size, box),
    'wrong_far': error_bands.far(errors),
    'body': body.name_of(truth.mask, truth.label['view'], truth.label['model']),
  }
  dice = None
  if tuned is not None:
    dice = _dice(predictor.mask_of(levels, tuned), truth.mask)
  by_level = thresholds.dice(levels, truth.mask).tolist()
  return Scored(row, by_level, dice, errors)


def _dice(predicted, actual):
  return metrics.mask_scores(predicted, actual)['dice']


def _colour(truth, image, box):
  full = truth.mask.view(np.uint8) * np.uint8(255)
  mask = views.cut(full, box, *image.shape[:2])
  return colours.name_of(image[..., :3], mask)
