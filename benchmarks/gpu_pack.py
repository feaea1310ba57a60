"""Chooses the cars that travel to a machine with a GPU, and copies them."""

import collections
import pathlib
import shutil

from benchmarks import whole_job
from carvana_jax.datasets import spec
from carvana_jax.system.errors import UserError

_FIRST = 2  # cars of each split that have precedence


def choose(folder: pathlib.Path, largest: int) -> list[pathlib.Path]:
  """Returns the photos and masks of as many whole cars as fit.

  A car of each split comes first, then a second one of each, then all others,
  by their ids, which have nothing to do with how a car looks. One that does not
  fit is left out.

  Args:
    folder: of the Kaggle files, unpacked.
    largest: bytes of all files together.

  Raises:
    UserError: the folder has no car of a split, or none of one fits.
  """
  cars, turns = collections.defaultdict(list), {}
  by_split = whole_job.split(folder)
  for pairs in by_split.values():
    ids = [spec.parse_photo(photo.stem).car_id for photo, _ in pairs]
    for car, pair in zip(ids, pairs, strict=True):
      cars[car] += pair
    turns |= {x: min(i, _FIRST) for i, x in enumerate(sorted(set(ids)))}
  chosen, left = [], largest
  for car in sorted(cars, key=lambda car: (turns[car], car)):
    size = sum(path.stat().st_size for path in cars[car])
    if size <= left:
      chosen.append(car)
      left -= size
  lacking = by_split.keys() - set(map(spec.split_of, chosen))
  if lacking:
    raise UserError(
      f'no {sorted(lacking)[0]} car fits in {largest / 1e6:g} MB; raise '
      '--megabytes.'
    )
  return sorted(path for car in chosen for path in cars[car])


def copy(folder: pathlib.Path, to: pathlib.Path, largest: int) -> str:
  """Copies the chosen cars to a new folder, which has Kaggle's shape, too.

  Args:
    folder: of the Kaggle files, unpacked.
    to: the new folder.
    largest: bytes of all files together.

  Returns:
    How many photos there are of each split.

  Raises:
    UserError: as `choose`.
  """
  for path in choose(folder, largest):
    copied = to / path.relative_to(folder)
    copied.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, copied)
  counts = {name: len(pairs) for name, pairs in whole_job.split(to).items()}
  return ', '.join(f'{count} of {name}' for name, count in counts.items())
