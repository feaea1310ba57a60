"""Photos to check exported networks on, and to calibrate them on."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from carvana_jax.datasets import (
  chosen_splits,
  folds,
  images,
  prepare,
  reading,
  spec,
)
from carvana_jax.inference import finding, networks, photos
from carvana_jax.system import files

T = TypeVar('T')

_MADE_UP = 4  # pictures, where there are no photos
_LARGER = 2  # times the network's height and width, as they are made up


@dataclasses.dataclass(frozen=True)
class Photo:
  """A photo, and its true mask where that is known."""

  name: str
  pixels: Callable[[], np.ndarray]  # -> uint8 [H, W, 3]
  mask: Callable[[], np.ndarray] | None = None  # -> bool [H, W]

  def __str__(self) -> str:
    return self.name


class Sample(NamedTuple):
  """Some photos."""

  cars: list[list[Photo]]  # those that the network looks at together
  source: str  # what they are, in words
  real: bool  # whether they are photos at all

  @property
  def count(self) -> int:
    """The number of photos."""
    return sum(map(len, self.cars))

  def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> 'Sample':
    """Returns the photos with changed pixels; their masks are then unknown."""
    return self._replace(
      cars=[
        [Photo(x.name, lambda x=x: change(x.pixels())) for x in car]
        for car in self.cars
      ]
    )


def choose(
  nets: networks.Networks,
  given: str | None,
  most: int,
  split: str = 'validation',
) -> Sample:
  """Chooses photos, evenly over what there is.

  Args:
    nets: the network that is to see them.
    given: photos, as --input of `predict`; None: those that its run has
      prepared, and made-up pictures where they are not there.
    most: how many photos; more where several are looked at together.
    split: of the run's photos, train or validation.

  Raises:
    UserError: there are no photos in what is given.
  """
  if given is not None:
    found = finding.find(given)
    cars = photos.group_by_car(
      found, nets.multiview, lambda x: x.file, nets.grouping
    )
    own = [[Photo(x.label, x.pixels) for x in car] for car in cars]
    return Sample(_spread(own, most), 'photos', True)
  run = nets.runs[0]
  builder = _prepared(run)
  if builder is None:
    return Sample([_made_up(run.config.data)], 'made-up pictures', False)
  part = folds.select(builder, split, chosen_splits.of(run.config.data))
  source = reading.undecoded_examples(builder, part.split)
  cars = [[int(x)] for x in part.positions]
  if nets.multiview:
    cars = list(folds.cars_of(source, part.all_views()).values())
  own = [[_example(source, x) for x in car] for car in _spread(cars, most)]
  return Sample(own, f'{split} photos', True)


def _spread(cars: Sequence[Sequence[T]], most: int) -> list[Sequence[T]]:
  """Picks cars from the first to the last that have so many photos or more."""
  count = max(1, round(most / np.mean([len(car) for car in cars])))
  chosen = np.linspace(0, len(cars) - 1, min(count, len(cars)))
  return [cars[int(x)] for x in chosen]


def _prepared(run):
  """Returns a run's data set, of the largest size that is prepared, or None.

  It is read without the files that it was made from, which may be elsewhere.
  """
  config = run.config.data
  parts = pathlib.PurePath(run.data).parts
  if config.dataset not in parts:
    return None
  kind = files.absolute(config.data_dir).joinpath(
    *parts[: parts.index(config.dataset) + 1]
  )
  for size in (prepare.full_size(config), config.size):
    for folder in sorted(kind.glob(f'{size}*/*/'), reverse=True):
      if (folder / 'dataset_info.json').exists():
        return reading.open_folder(folder)
  return None


def _made_up(data_config):
  """Returns pictures of a bright ellipse, which are views of one thing."""
  height, width = (_LARGER * x for x in spec.parse_size(data_config.size))

  def picture(number):
    rng = np.random.default_rng(number)
    pixels = rng.integers(90, 120, (height, width, 3), np.uint8)
    axes = width * (3 + number) // 16, height // 4
    centre = width // 2, height // 2
    return cv2.ellipse(pixels, centre, axes, 0, 0, 360, (200, 60, 40), -1)

  return [
    Photo(f'picture {number}', functools.partial(picture, number))
    for number in range(_MADE_UP)
  ]


def _example(source, position):
  name = source[position]['filename'].decode()
  return Photo(
    name,
    lambda: images.decode_photo(source[position]['image']),
    lambda: images.decode_mask(source[position]['mask']) > 127,
  )
