"""The table of metrics: how each is taken of an image, and how it is shown.

Scoring writes a column of images.csv for each, evaluate writes the mean to
summary.json and prints it, and the report shows it; all of them read this
table. Dice stands apart: it ranks the images, and evaluate and the report show
its median, its worst and its interval as well.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from carvana_jax.metrics import border, ceiling, overlap

_FRACTION, _PIXELS = '.5f', '.2f'


class ScoredImage(NamedTuple):
  """What the scores of an image are taken from."""

  predicted: np.ndarray  # bool [H, W]
  actual: np.ndarray  # bool [H, W]
  pair: border.MaskPair  # both, without surroundings that are empty
  # Height and width at which the network is shown the box.
  network_size: tuple[int, int]
  # int32 [4], a part of the image: top, left, bottom, right, the latter two
  # exclusive.
  box: np.ndarray


def _overlap(image):
  return overlap.mask_scores(image.predicted, image.actual)


def _border(image):
  return border.scores(image.pair)


def _ceiling(image):
  return ceiling.dice(image.actual, image.network_size, image.box)


class Metric(NamedTuple):
  """A row of the table."""

  key: str  # column of images.csv, and with `_mean` a key of summary.json
  # Takes an image's scores by key; it may give several, and is called once.
  function: Callable[[ScoredImage], dict[str, float]]
  label: str  # in the report, with its unit
  format: str  # of a number, such as '.5f'
  line: str  # that evaluate prints it in; metrics of the same line share it
  words: str = ''  # after the number in that line

  @property
  def mean_key(self) -> str:
    """The key of its mean in summary.json."""
    return f'{self.key}_mean'

  def text(self, value: float | str) -> str:
    """A value, be it one that was read from a table, as the report shows it."""
    return format(float(value), self.format)


def _band(width, words):
  """The row of Dice near the border."""
  label = f'Dice within {width} pixels of the border, mean'
  return Metric(
    f'dice_band_{width}', _border, label, _FRACTION, 'border', words
  )


# In the order in which they are shown.
FRACTIONS = (
  Metric(
    'ceiling_soft', _ceiling, 'ceiling, soft masks', _FRACTION,
    'ceiling', ' with soft masks,',
  ),
  Metric(
    'ceiling_hard', _ceiling, 'ceiling, hard masks', _FRACTION,
    'ceiling', ' with hard ones',
  ),
  Metric('iou', _overlap, 'IoU, mean', _FRACTION, 'IoU'),
  Metric(
    'accuracy', _overlap, 'accuracy of the pixels, mean', _FRACTION, 'accuracy'
  ),
  *map(_band, border.BANDS, (' (2 pixels)', ' (4)', ' (8), Dice')),
)  # fmt: skip
DISTANCES = (
  Metric(
    'surface_distance', _border, 'surface distance, mean (pixels)', _PIXELS,
    'distance', ' pixels,',
  ),
  Metric(
    'hausdorff_95', _border, 'Hausdorff distance at 95 %, mean (pixels)',
    _PIXELS, 'distance', ' at 95 % (Hausdorff)',
  ),
)  # fmt: skip
METRICS = {metric.key: metric for metric in (*FRACTIONS, *DISTANCES)}

# Their columns come first in images.csv, as in those of older runs.
_FIRST = (_overlap, _border, _ceiling)


def scores(image: ScoredImage) -> dict[str, float]:
  """Takes all scores of an image.

  Args:
    image: its masks, and what the network was given of it.

  Returns:
    dice and the keys of `METRICS`, in the order of the columns of images.csv.
  """
  found = {}
  for function in dict.fromkeys(
    (*_FIRST, *(metric.function for metric in METRICS.values()))
  ):
    found |= function(image)
  return found


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
  """Averages the metrics over images.

  Args:
    rows: of images.csv.

  Returns:
    The means by their keys in summary.json, in the order of the columns.
  """
  return {
    METRICS[key].mean_key: float(np.mean([row[key] for row in rows]))
    for key in rows[0]
    if key in METRICS
  }


def lines(summary: dict[str, Any]) -> list[str]:
  """Writes the metrics' means as evaluate prints them.

  Args:
    summary: what summary.json holds.

  Returns:
    A line for each `line` of the table, in its order.
  """
  found = {}
  for metric in METRICS.values():
    number = f'{summary[metric.mean_key]:9{metric.format}}'
    start = found.get(metric.line, f'{metric.line:10}')
    found[metric.line] = start + number + metric.words
  return list(found.values())
