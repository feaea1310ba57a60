"""Users' photos, in a folder, a file, a pattern of files or a ZIP.

    for photo in photos.find('photos.zip'):
      pixels = photo.pixels()

A ZIP is read member by member and never unpacked: a member's path is only
looked at. Several threads may read at once.
"""

import dataclasses
import functools
import glob
import hashlib
import itertools
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TypeVar

import numpy as np

from carvana_jax.datasets import spec
from carvana_jax.inference.decoding import decode
from carvana_jax.system import progress, threads, zip_archives
from carvana_jax.system.errors import UserError

T = TypeVar('T')

_ENDINGS = ('.jpg', '.jpeg', '.png', '.webp')

# Outputs are named after photos: NAME_mask.png.tmp and the like must fit into
# the 255 bytes of most file systems, and a message into its line.
_LONGEST_NAME = 200  # bytes
_UNPRINTABLE = re.compile('[\x00-\x1f\x7f\ud800-\udfff]')


@dataclasses.dataclass(frozen=True, slots=True)
class Photo:
  """A photo that has been found, but not looked at.

  Attributes:
    file: the name of its file, without folder: a.jpg.
    label: what messages call it: photos/a.jpg or photos.zip:train/a.jpg.
    open: opens the file for reading.
    size: returns the file's bytes, without reading it.
  """

  file: str
  label: str
  open: Callable[[], IO[bytes]]
  size: Callable[[], int]

  def __str__(self) -> str:
    return self.label

  @property
  def name(self) -> str:
    """The file's name without ending, after which outputs are named."""
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
      raise UserError(
        f'{self.label} cannot be read ({error}); replace or remove it.'
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
    data = self.read()
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


def find(text: str) -> list[Photo]:
  """Finds the photos of a folder, file, pattern or ZIP.

  Photos are files that end in .jpg, .jpeg, .png or .webp and are not hidden. In
  a folder only its own files count, in a ZIP those at any depth.

  Args:
    text: what the user gave; `~` is the home folder, and what does not exist
      is a pattern, in which `**` stands for any folders.

  Returns:
    The photos in the order of their names.

  Raises:
    UserError: there are no photos, two have the same name, outputs cannot be
      named after a photo, or a folder or ZIP can't be read.
  """
  path = os.path.expanduser(text)
  if os.path.isdir(path):
    photos = _in_folder(path)
  elif os.path.isfile(path):
    is_zip = path.lower().endswith('.zip')
    photos = _in_zip(path) if is_zip else _on_disk([path])
  else:
    matches = glob.glob(path, recursive=True)
    photos = _on_disk(match for match in matches if os.path.isfile(match))
  if not photos:
    raise UserError(
      f'{text} holds no photo; give --input a folder of JPG, PNG or WebP (not'
      " of folders), such a file, a pattern in quotes ('photos/*.jpg') or a"
      ' ZIP.'
    )
  return _in_order(photos)


def origin(text: str, found: Sequence[Photo]) -> dict[str, str]:
  """Returns which photos they are, for the settings of an output folder.

  Args:
    text: what the user gave.
    found: the photos, as `find` returns them.

  Returns:
    input, the absolute path, which may be another on each host; and
    input_digest, which follows from the names and sizes of the files.
  """
  digest = hashlib.sha256()
  # By threads, as a file server may take a while for each file.
  for name_and_size in threads.ordered_map(_name_and_size, found):
    digest.update(json.dumps(name_and_size).encode())
  return {
    'input': os.path.abspath(text),
    'input_digest': digest.hexdigest()[:16],
  }


def _name_and_size(photo):
  try:
    return photo.file, photo.size()
  except OSError:  # it has just been removed: whoever opens it will say so
    return photo.file, -1


def on_disk(path: str) -> Photo:
  """Returns the photo in a file, whatever the file's name."""
  opener = functools.partial(_open, path)
  size = functools.partial(os.path.getsize, path)
  return Photo(os.path.basename(path), path, opener, size)


def _in_folder(folder: str) -> list[Photo]:
  try:
    with os.scandir(folder) as entries:
      return _on_disk(entry.path for entry in entries if entry.is_file())
  except OSError as error:
    raise UserError(
      f'{folder} cannot be read ({error.strerror}); change its permissions or'
      ' give another --input.'
    ) from error


def _on_disk(paths: Iterable[str]) -> list[Photo]:
  return [on_disk(path) for path in paths if _is_photo(path)]


def _open(path: str) -> IO[bytes]:
  stream = open(path, 'rb')  # noqa: SIM115 - the caller closes it
  size = os.fstat(stream.fileno()).st_size
  if size > zip_archives.MOST_BYTES:
    stream.close()
    raise ValueError(f'{size / 2**30:.0f} GiB are too much for a photo')
  return stream


def _in_zip(path: str) -> list[Photo]:
  """Finds the photos of a ZIP, which stays open while one of them is in use."""
  try:
    # One for all threads: `zipfile` locks its reads, and does not close a file
    # that it was given.
    archive = zipfile.ZipFile(open(path, 'rb'))  # noqa: SIM115
  except zip_archives.READ_ERRORS as error:
    raise UserError(
      f'{path} is no complete ZIP ({error}); replace it or give another'
      ' --input.'
    ) from error
  photos = []
  for member in archive.infolist():
    inside = member.filename.replace('\\', '/')  # of old Windows tools
    if (
      _is_photo(inside)
      and not zip_archives.is_litter(inside.split('/'))
      and not stat.S_ISLNK(member.external_attr >> 16)  # its bytes are a path
    ):
      label = f'{path}:{inside}'
      _refuse_unreadable_member(member, label)
      opener = functools.partial(archive.open, member)
      size = functools.partial(getattr, member, 'file_size')
      photos.append(Photo(os.path.basename(inside), label, opener, size))
  return photos


def _is_photo(path: str) -> bool:
  name = os.path.basename(path)
  return name.lower().endswith(_ENDINGS) and not name.startswith('.')


def _refuse_unreadable_member(member: zipfile.ZipInfo, label: str) -> None:
  if member.flag_bits & 1:
    raise UserError(
      f'{label} is encrypted; unpack the ZIP and give --input the folder.'
    )
  if member.file_size > zip_archives.MOST_BYTES:
    raise UserError(
      f'{label} unpacks to {member.file_size / 2**30:.0f} GiB, too much for a'
      ' photo; remove it.'
    )


def _in_order(photos: list[Photo]) -> list[Photo]:
  for photo in photos:
    _refuse_unusable_name(photo)
  photos = sorted(photos, key=lambda photo: (photo.name, photo.label))
  for photo, following in itertools.pairwise(photos):
    if photo.name == following.name:
      raise UserError(
        f'{photo.label} and {following.label} have one name, so their outputs'
        ' would have one, too; rename one.'
      )
  return photos


def _refuse_unusable_name(photo: Photo) -> None:
  # A line break, or a name in another encoding, which can't be printed.
  if _UNPRINTABLE.search(photo.label):
    raise UserError(f'{photo.label!r} has unprintable letters; rename it.')
  if len(photo.name.encode()) > _LONGEST_NAME:
    raise UserError(
      f'{photo.label} has a name of more than {_LONGEST_NAME} bytes, too long'
      ' to name outputs after; shorten it.'
    )


def group_by_car(
  photos: Sequence[T], together: bool, file_of: Callable[[T], str] = str
) -> list[list[T]]:
  """Groups photos that are looked at together.

  Args:
    photos: the photos in any form, such as the names of their files.
    together: whether a network compares the views of a car.
    file_of: returns the name of a photo's file, CAR_VIEW.jpg.

  Returns:
    A list of photos for each car if together, else for each photo.

  Raises:
    UserError: a car has more views than there can be.
  """
  if not together:
    return [[photo] for photo in photos]
  cars = {}
  for photo in photos:
    stem = os.path.splitext(file_of(photo))[0]
    cars.setdefault(stem.rpartition('_')[0] or stem, []).append(photo)
  for car, views in cars.items():
    if len(views) > spec.VIEWS:
      raise UserError(
        f'{car}_… names {len(views)} photos, but a car has at most '
        f'{spec.VIEWS} views; name them CAR_VIEW.jpg.'
      )
  return list(cars.values())
