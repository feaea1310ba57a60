"""Users' photos: their names, and how they are read.

    for photo in finding.find('photos.zip'):
      pixels = photo.pixels()

Several threads may read at once.
"""

import dataclasses
import functools
import itertools
import os
import posixpath
from collections.abc import Callable, Sequence
from typing import IO, TypeVar

import numpy as np

from carvana_jax.datasets import spec
from carvana_jax.datasets.decoding import decode
from carvana_jax.datasets.folder import groups, items
from carvana_jax.datasets.multiview import cropping
from carvana_jax.system import progress, stamps, zip_archives
from carvana_jax.system.errors import UserError

T = TypeVar('T')


@dataclasses.dataclass(frozen=True, slots=True)
class Photo:
  """A photo that has been found, but not looked at.

  Attributes:
    file: the path of its file below what was given, always with slashes, and
      without any part that leads out of there: a.jpg or car1/a.jpg.
    label: what messages call it: photos/a.jpg or photos.zip:train/a.jpg.
    open: opens the file for reading.
    stamp: returns the file's stamp, see `stamps.of_path`.
    folder: where the file is; None in a ZIP.
  """

  file: str
  label: str
  open: Callable[[], IO[bytes]]
  stamp: Callable[[], list[int] | None]
  folder: str | None = None

  def __str__(self) -> str:
    return self.label

  @property
  def name(self) -> str:
    """The file's path without ending, after which outputs are named."""
    return os.path.splitext(self.file)[0]

  def read(self) -> bytes:
    """Returns the file's bytes.

    Raises:
      UserError: they can't be read.
    """
    try:
      with self.open() as stream:
        return stream.read()
    except zip_archives.READ_ERRORS as error:
      reason = getattr(error, 'strerror', None) or error
      raise UserError(
        f'{self.label} cannot be read ({reason}); replace or remove it.'
      ) from error

  def pixels(self, strict: bool = False) -> np.ndarray:
    """Decodes the photo, see `decoding.decode`.

    Args:
      strict: whether a photo with some wrong bytes is an error; else a line
        names it, and it is used.

    Returns:
      uint8 [H, W, 3], sRGB, upright.

    Raises:
      UserError: the file can't be read, is damaged or no photo.
    """
    return self.decoded(self.read(), strict)

  def decoded(self, data: bytes, strict: bool = False) -> np.ndarray:
    """As `pixels`, of the file's bytes, which have been read."""
    complaints = []
    try:
      decoded = decode(data, complaints.append)
    except ValueError as error:
      raise UserError(f'{self.label} {error}; replace or remove it.') from error
    for complaint in complaints:
      text = f'{self.label} may look wrong in parts ({complaint})'
      if strict:
        raise UserError(f'{text}; replace or remove it.')
      progress.print_above(f'{text}; it is used.')
    return decoded


def on_disk(path: str, file: str | None = None) -> Photo:
  """Returns the photo in a file, whatever the file's name.

  Args:
    path: the file.
    file: the photo's `file`; None for the file's name.
  """
  opener = functools.partial(_open, path)
  stamp = functools.partial(stamps.of_path, path)
  folder, name = os.path.split(path)
  return Photo(file or name, path, opener, stamp, folder)


def _open(path: str) -> IO[bytes]:
  stream = open(path, 'rb')  # noqa: SIM115 - the caller closes it
  size = os.fstat(stream.fileno()).st_size
  if size > zip_archives.MOST_BYTES:
    stream.close()
    raise ValueError(f'{size / 2**30:.0f} GiB are too much for a photo')
  return stream


def group_by_car(
  photos: Sequence[T],
  together: bool,
  file_of: Callable[[T], str] = str,
  pattern: str | None = None,
  needed: bool = True,
) -> list[list[T]]:
  """Groups photos that are looked at together.

  Photos in different folders show different cars, unless a pattern says so.
  Where more share a car's name than a car has views, they are no views of one:
  each is looked at alone, or refused where a network needs the other views.

  Args:
    photos: the photos in any form, such as the names of their files.
    together: whether a network compares the views of a car.
    file_of: returns the path of a photo's file, with slashes: CAR_VIEW.jpg.
    pattern: `config.data.groups` of a network that was trained on a folder of
      photos of any names; None: they are named CAR_VIEW.
    needed: whether a network can't do without the other views.

  Returns:
    A list of photos for each car if together, else for each photo.

  Raises:
    UserError: a car has more views than there can be, if they are needed.
  """
  if not together:
    return [[photo] for photo in photos]
  names = [file_of(photo) for photo in photos]
  if pattern is None:
    cars = map(_car_of, names)
    most = spec.VIEWS if needed else cropping.MOST_VIEWS
  else:
    cars, most = _groups_of(names, pattern), cropping.MOST_VIEWS
  found = {}
  for car, photo in zip(cars, photos, strict=True):
    found.setdefault(car, []).append(photo)
  for car, views in found.items():
    if len(views) <= most or not needed:
      continue
    if pattern is None:
      raise UserError(
        f'{car}_… names {len(views)} photos, but a car has at most {most} '
        'views; name them CAR_VIEW.jpg.'
      )
    raise UserError(
      f'the group {car} has {len(views)} photos, of which no more than {most} '
      'can be compared; give fewer.'
    )
  groups_of = lambda views: (
    [views] if len(views) <= most else [[x] for x in views]
  )
  return list(itertools.chain.from_iterable(map(groups_of, found.values())))


def _car_of(file):
  folder, name = posixpath.split(os.path.splitext(file)[0])
  return posixpath.join(folder, name.rpartition('_')[0] or name)


def _groups_of(names, pattern):
  """Returns the group of each photo, as far as its name tells it."""
  if pattern == groups.BY_FOLDER:  # one will do
    return map(posixpath.dirname, names)
  # Of photos with masks groups are guessed.
  known = [items.Item(name, None, mask=True) for name in names]
  try:
    return [label.group for label in groups.assign(known, pattern).labels]
  except UserError:
    if pattern:
      raise
    return map(_car_of, names)  # too few for a guess
