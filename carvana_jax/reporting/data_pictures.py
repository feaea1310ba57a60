"""Pictures of a data set: a grid of cars, and the views of one car compared."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import empty_studio, images, reading
from carvana_jax.datasets.multiview import cropping
from carvana_jax.reporting import overlays, studio_views
from carvana_jax.reporting.data_survey import Example
from carvana_jax.system import contact_sheet, progress, threads

# All lengths are pixels.
_CARS, _COLUMNS = 48, 6  # of the grid
_CELL = (178, 266)  # height and width of a picture of the grid, as it is drawn
_WIDTH = 960  # in which the views of a car are compared
_VIEWS, _VIEW_COLUMNS, _VIEW = 64, 4, 400  # of a car; width of one on a sheet
_LEAST = 3  # views of which a median says something


class Compared(NamedTuple):
  """What the views of a car show when they are compared."""

  pictures: dict[str, np.ndarray]  # uint8 [H, W, 3], by name
  sentences: list[str]  # on the empty studio, or on why there are no pictures


def grid(
  full: tfds.core.DatasetBuilder,
  cars: Mapping[str, Sequence[Example]],
  word: str,
) -> np.ndarray:
  """Draws a view of each of some cars, its mask outlined.

  The views alternate, so that cars are seen from all sides.

  Args:
    full: the data set at full size.
    cars: the examples of all cars.
    word: for what they are.

  Returns:
    uint8 [H, W, 3].
  """
  count = min(len(cars), _CARS)
  chosen = np.linspace(0, len(cars) - 1, count).round().astype(int)
  ids = list(cars)
  examples = [
    cars[ids[place]][number % len(cars[ids[place]])]
    for number, place in enumerate(chosen)
  ]
  read = _reader(full, examples)

  def picture(example):
    photo, mask, _ = read(example, 2 * _CELL[1])
    width = min(
      _CELL[1], max(1, round(_CELL[0] * photo.shape[1] / photo.shape[0]))
    )
    return _framed(overlays.outlined(photo, mask, width))

  pictures = progress.bar(
    threads.ordered_map(picture, examples),
    total=count, unit=' photos', title='drawing',
  )  # fmt: skip
  labels = [f'{_short(x.car_id)}, view {x.view}' for x in examples]
  caption = f'{count} of {len(cars)} {word}s, their masks outlined.'
  return contact_sheet.sheet(list(pictures), labels, caption, _COLUMNS)


def of_car(
  full: tfds.core.DatasetBuilder, views: Sequence[Example]
) -> Compared:
  """Compares the views of a car with their mean and their median.

  Args:
    full: the data set at full size.
    views: of the car.

  Returns:
    Sheets of the views, of mean, median and empty studio, and of the absolute
    difference of each view from either; and the empty studio alone, a
    checkerboard where no view shows it. None of these where the views can't be
    compared, and no empty studio where they don't agree about it.
  """
  if len(views) < _LEAST:
    return Compared(
      {},
      [
        f'It takes {_LEAST} photos or more of one object to compare them, and '
        'to find the empty studio behind it; no object has as many.'
      ],
    )
  views = views[:_VIEWS]
  read = _reader(full, views)
  found = list(threads.ordered_map(lambda x: read(x, _WIDTH), views))
  shapes = {photo.shape for photo, *_ in found}
  if len(shapes) > 1:
    return Compared(
      {},
      [
        f'The photos of {views[0].car_id} differ in shape, so they are not '
        'compared.'
      ],
    )
  photos = np.stack([photo for photo, *_ in found])  # [V, H, W, 3]
  masks = [mask for _, mask, _ in found]
  mean, median = cropping.mean_of(photos), cropping.median_of(photos)
  tiles = [overlays.outlined(*pair, _VIEW) for *pair, _ in found]
  several = lambda pictures, text: _sheet(pictures, views, text)
  differences = {
    name: [cropping.difference_of(photo, reference) for photo in photos]
    for name, reference in (('mean', mean), ('median', median))
  }
  car = views[0].car_id
  studio = empty_studio.find(photos, masks)
  common = {
    f'mean of {len(views)} views': mean,
    f'median of {len(views)} views': median,
    **(studio_views.pictures(studio) if studio else {}),
  }
  whole = [np.rint(x).astype(np.uint8) for x in common.values()]
  pictures = {
    'views': several(
      tiles, f'{car}: {len(views)} views, their masks outlined.'
    ),
    'mean_and_median': contact_sheet.sheet(
      whole, list(common), f'{car}: what the views have in common.', columns=2
    ),
    **{
      f'difference_from_{name}': several(
        pictures, f'{car}: |view - {name} of all views|.'
      )
      for name, pictures in differences.items()
    },
  }
  if studio:
    pictures['empty_studio'] = common[studio_views.STUDIO]
  numbers = [x.view for x in views]
  factor = found[0][-1]
  return Compared(
    pictures, studio_views.sentences(studio, photos, masks, numbers, factor)
  )


def _reader(full, examples):
  """Returns a function that reads an example.

  It takes example and width; it returns photo and mask of that width, and how
  much smaller they are than the files', 0..1.
  """
  stored = {x.stored for x in examples}
  sources = {x: reading.undecoded_examples(full, x) for x in stored}

  def read(example, width):
    row = sources[example.stored][example.position]
    photo = images.decode_photo(row['image'])
    mask = images.decode_mask(row['mask'])
    height, before = mask.shape
    if width >= before:
      return photo, mask, 1.0
    size = max(1, round(height * width / before)), width
    small = [images.reduce(x, *size) for x in (photo, mask)]
    return *small, width / before

  return read


def _sheet(pictures, views, text):
  labels = [f'view {x.view}' for x in views]
  return contact_sheet.sheet(pictures, labels, text, _VIEW_COLUMNS)


def _framed(picture):
  """Puts a picture into the middle of a cell of the grid."""
  height, width = picture.shape[:2]
  if abs(height - _CELL[0]) <= 1 and width == _CELL[1]:
    return cv2.resize(picture, _CELL[::-1], interpolation=cv2.INTER_AREA)
  cell = np.full((*_CELL, 3), 255, np.uint8)
  top, left = max(0, _CELL[0] - height) // 2, (_CELL[1] - width) // 2
  cell[top : top + height, left : left + width] = picture[: _CELL[0]]
  return cell


def _short(name):
  return name if len(name) <= 20 else f'{name[:9]}…{name[-10:]}'
