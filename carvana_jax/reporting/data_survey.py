"""What the labelled examples of a data set show, measured at network size."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import chosen_splits, fitting, folds, images, reading
from carvana_jax.evaluation import car_groups
from carvana_jax.masks import measures
from carvana_jax.system import progress, threads
from carvana_jax.system.errors import UserError

SPLITS = ('train', 'validation', 'test')


class Example(NamedTuple):
  """A labelled photo.

  Attributes:
    split: the one that the config has it in.
    stored: the split or splits that the prepared data have it in, of any size.
    position: in there.
    name: the feature `filename`.
    car_id: of the car, or the object.
    view: of the car.
    measures: of the car.
    colour: its name; '' where the photo shows no car.
  """

  split: str
  stored: str
  position: int
  name: str
  car_id: str
  view: int
  measures: measures.Measures
  colour: str


class Survey(NamedTuple):
  """What was found."""

  examples: list[Example]
  mean_mask: np.ndarray  # float32 [h, w], 0..1: how often a pixel is car


def survey(
  builder: tfds.core.DatasetBuilder,
  data_config: ConfigDict,
  sizes: Mapping[str, tuple[int, int]],
) -> Survey:
  """Reads every labelled example once, on all cores.

  Args:
    builder: the data set at the network's size, not cropped to cars.
    data_config: `config.data`.
    sizes: (H, W) of photos by name; what was padded around them is cut off. Of
      the names that it lacks, all of the picture is photo.

  Returns:
    The examples of the config's splits, one split after the other.
  """
  places = _places(builder, data_config)
  stored = {x for _, x, _ in places}
  sources = {x: reading.undecoded_examples(builder, x) for x in stored}
  shape = builder.info.features['mask'].shape[:2]

  def examine(place):
    split, where, position = place
    row = sources[where][position]
    photo = images.decode_photo(row['image'])
    mask = images.decode_mask(row['mask'])
    name = row['filename'].decode()
    if name in sizes:
      photo, mask = _inner(photo, mask, sizes[name], data_config.fit)
    example = Example(
      split, where, position, name, row['car_id'].decode(), int(row['view']),
      measures.measure(photo, mask), car_groups.colour_of(photo, mask),
    )  # fmt: skip
    return example, cv2.resize(mask, shape[::-1])

  total = np.zeros(shape, np.float64)
  examples = []
  found = threads.ordered_map(examine, places)
  for example, mask in progress.bar(
    found, total=len(places), unit=' photos', title='measuring'
  ):
    examples.append(example)
    total += mask
  mean = total / (255 * max(1, len(examples)))
  return Survey(examples, mean.astype(np.float32))


def cars_of(examples: Sequence[Example]) -> dict[str, list[Example]]:
  """Returns the examples of each car, both in the order of ids and views."""
  cars = {}
  for x in sorted(examples, key=lambda x: (x.car_id, x.view)):
    cars.setdefault(x.car_id, []).append(x)
  return cars


def _places(builder, data_config):
  """Returns (split, split as stored, position there) of labelled examples."""
  places, splits = [], chosen_splits.of(data_config)
  for split in SPLITS:
    try:
      part = folds.select(builder, split, splits)
    except UserError:  # it is empty
      continue
    places += [(split, part.split, int(x)) for x in part.positions]
  return places


def _inner(photo, mask, size, fit):
  """Cuts off what was padded around a photo of (H, W) pixels."""
  part = fitting.place(size, mask.shape, fit)
  if part is None:
    return photo, mask
  top, left, bottom, right = part
  return photo[top:bottom, left:right], mask[top:bottom, left:right]
