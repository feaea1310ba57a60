"""Finds the competition's files in whatever form the user has them.

A manual folder may hold, in any mixture:

    train/ train_masks/ test/ metadata.csv           unpacked
    train.zip train_masks.zip test.zip metadata.csv.zip
    carvana-image-masking-challenge.zip              these zips or folders again

or all of it in a folder one level deeper. `train_hq` and `test_hq` stand in
for `train` and `test` where these are absent. Archives are read member by
member and never unpacked: a member's path is only looked at, no file is ever
written under it.
"""

import collections
import csv
import dataclasses
import errno
import hashlib
import io
import json
import lzma
import os
import pathlib
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from etils import epath

from carvana_jax.datasets import spec
from carvana_jax.system.errors import UserError

COMPETITION = 'carvana-image-masking-challenge'
HOMEPAGE = f'https://www.kaggle.com/c/{COMPETITION}'

# The groups of files, each by the names that it may have, best first.
PHOTOS = ('train', 'train_hq')
MASKS = ('train_masks',)
TEST = ('test', 'test_hq')
_GROUPS = frozenset(PHOTOS + MASKS + TEST)
_COLUMNS = ('id', 'year', 'make', 'model', 'trim1', 'trim2')  # metadata.csv

_PHOTO_NAME = re.compile(r'(?P<stem>.+)\.jpg')
_MASK_NAME = re.compile(r'(?P<stem>.+)_mask\.(gif|png)')


_MOST_BYTES = 2**30  # of a file that is read whole: a photo has half a MB

# What Python's readers raise for damaged, encrypted or unusual archives.
_UNREADABLE = (
  OSError,
  EOFError,
  RuntimeError,
  ValueError,
  lzma.LZMAError,
  struct.error,
  zipfile.BadZipFile,
  zlib.error,
)


class MissingFilesError(UserError):
  """The manual folder lacks the photos or the masks."""


@dataclasses.dataclass(frozen=True, slots=True)
class File:
  """One file of a folder or of an archive.

  `str()` tells a user where it is, such as
  `train.zip:train/0cdf5b5d0ce1_01.jpg`, relative to the manual folder.
  """

  label: str
  path: pathlib.PurePosixPath  # in its folder or archive
  size: int  # bytes
  open: Callable[[], IO[bytes]]

  def read(self) -> bytes:
    """The file's bytes; `UserError` if the disk or the archive is damaged."""
    if self.size > _MOST_BYTES:
      raise UserError(
        f'{self} has {self.size / 2**30:.1f} GiB, far too much: download it '
        'again or remove it.'
      )
    try:
      with self.open() as stream:
        return stream.read()
    except _UNREADABLE as error:
      raise UserError(
        f'{self} cannot be read ({error}): download it again.'
      ) from error

  def __str__(self) -> str:
    return self.label


@dataclasses.dataclass(frozen=True)
class Source:
  """The files that a data set is made from, by the photo's `<car>_<view>`."""

  photos: dict[str, File]
  masks: dict[str, File]
  test: dict[str, File]  # photos without masks
  metadata: dict[str, dict[str, str]]  # car id -> make, model, year, trim


def find(manual_dir: epath.PathLike, unlabeled: bool) -> Source:
  """Finds the files; opens archives, but reads no image.

  Archives inside the one big archive are copied to nameless temporary files
  (in `$TMPDIR`), which vanish with the returned `Source`. Those of the test
  images, 8 GB in the full set, only if `unlabeled`.

  Args:
    manual_dir: the folder that the user put the competition's files into.
    unlabeled: whether to look for the test images, too.

  Raises:
    MissingFilesError: there are no photos or no masks.
    UserError: an archive or the metadata cannot be read, or a name is there
      twice.
  """
  folder = epath.Path(manual_dir).expanduser()
  files = list(_walk(folder)) if folder.is_dir() else []
  archives = _nearest(_named(files, f'{COMPETITION}.zip'))
  layers = [files, *(list(_members(archive)) for archive in archives)]
  photos = _group(layers, PHOTOS, _photo_stem)
  masks = _group(layers, MASKS, _mask_stem)
  if not photos or not masks:
    raise _missing(folder, bool(photos), bool(masks))
  test = _group(layers, TEST, _photo_stem) if unlabeled else {}
  return Source(photos, masks, test, _metadata(layers))


def fingerprint(source: Source) -> str:
  """8 hexadecimal digits that tell one set of files from another.

  They depend on the files' names and sizes and on the metadata, but not on
  whether the files are unpacked.
  """
  digest = hashlib.sha256()
  for group in (source.photos, source.masks, source.test):
    sizes = sorted((file.path.name, file.size) for file in group.values())
    digest.update(json.dumps(sizes).encode())
  digest.update(json.dumps(source.metadata, sort_keys=True).encode())
  return digest.hexdigest()[:8]


def _missing(folder: epath.Path, photos: bool, masks: bool) -> UserError:
  lacking = [
    name for name, there in (('photos', photos), ('masks', masks)) if not there
  ]
  return MissingFilesError(
    f'{folder} has no {" and no ".join(lacking)} of the Carvana challenge: it'
    ' must hold train/ and train_masks/ (or train_hq/), or train.zip and'
    f' train_masks.zip, or {COMPETITION}.zip; get them from {HOMEPAGE}/data.'
  )


# Folders and archives, as lists of files.


def _walk(folder: epath.Path, inside: tuple[str, ...] = ()) -> Iterator[File]:
  """The files of the manual folder, and of its folders that matter."""
  for path in sorted(folder.iterdir()):
    parts = (*inside, path.name)
    if _is_hidden(parts):
      continue
    if path.is_dir():
      # train/, <any>/train/ and, unpacked with one folder too many,
      # <any>/train/train/; nothing else, as the folder may be a large one.
      if not inside or (path.name in _GROUPS and len(inside) < 3):
        yield from _walk(path, parts)
    elif path.exists() and _is_regular(path):  # no link to nowhere
      yield _file_in_folder(path, pathlib.PurePosixPath(*parts))


def _is_regular(path: epath.Path) -> bool:
  """Whether it is no pipe or device, which might never end."""
  mode = path.stat().mode  # None in the cloud
  return mode is None or stat.S_ISREG(mode)


def _file_in_folder(path: epath.Path, relative: pathlib.PurePosixPath) -> File:
  return File(
    label=str(relative),
    path=relative,
    size=path.stat().length,
    open=lambda: path.open('rb'),
  )


def _members(archive: File) -> Iterator[File]:
  """The files of a zip; `UserError` if it is not a whole one."""
  try:
    opened = zipfile.ZipFile(_seekable(archive))
  except _UNREADABLE as error:
    raise UserError(
      f'{archive} is not a complete zip archive ({error}): download it again'
      ' or remove it.'
    ) from error
  for info in opened.infolist():
    path = pathlib.PurePosixPath(info.filename)
    # A damaged directory may have members without a name.
    if path.name and not info.is_dir() and not _is_hidden(path.parts):
      yield _file_in_archive(archive, opened, info, path)


def _file_in_archive(
  archive: File,
  opened: zipfile.ZipFile,
  info: zipfile.ZipInfo,
  path: pathlib.PurePosixPath,
) -> File:
  return File(
    label=f'{archive}:{path}',
    path=path,
    size=info.file_size,
    open=lambda: opened.open(info),
  )


def _seekable(archive: File) -> IO[bytes]:
  """Opens an archive; one inside another is copied to a temporary file."""
  stream = archive.open()
  if not isinstance(stream, zipfile.ZipExtFile):
    return stream
  # To seek in a compressed member is to decompress it from its start.
  copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its files
  try:
    if shutil.disk_usage(tempfile.gettempdir()).free < archive.size:
      # Before the disk is full, as a few bytes can unpack to terabytes.
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with stream:
      shutil.copyfileobj(stream, copy, length=2**20)
  except OSError as error:
    raise UserError(
      f'{archive} could not be copied to {tempfile.gettempdir()} ({error}):'
      ' set TMPDIR to a folder with more space.'
    ) from error
  return copy


def _is_hidden(parts: Iterable[str]) -> bool:
  """Whether a path is a dot file, leads upwards or is macOS's litter."""
  return any(part.startswith('.') or part == '__MACOSX' for part in parts)


# Choosing among them.


def _group(
  layers: list[list[File]],
  names: tuple[str, ...],
  stem_of: Callable[[File], str | None],
) -> dict[str, File]:
  """The files of the first of these names that any layer has, by stem."""
  for name in names:
    for files in layers:
      found = _by_stem(_unpacked(files, name), stem_of)
      found = found or _by_stem(_zipped(files, name), stem_of)
      if found:
        return found
  return {}


def _unpacked(files: list[File], name: str) -> list[File]:
  """The files of the folder `name`, of the one nearest to the root."""
  by_depth = collections.defaultdict(list)
  for file in files:
    folders = file.path.parts[:-1]
    if name in folders:
      by_depth[folders.index(name)].append(file)
  return by_depth[min(by_depth)] if by_depth else []


def _zipped(files: list[File], name: str) -> Iterator[File]:
  """The members of `name`.zip, whatever folders they are in."""
  for archive in _nearest(_named(files, f'{name}.zip')):
    yield from _members(archive)


def _named(files: list[File], name: str) -> list[File]:
  return [file for file in files if file.path.name == name]


def _nearest(files: list[File]) -> list[File]:
  """The one file that is nearest to the root; none if there are none."""
  ordered = sorted(files, key=lambda file: len(file.path.parts))
  depths = [len(file.path.parts) for file in ordered[:2]]
  if len(depths) == 2 and depths[0] == depths[1]:
    raise _twice(*ordered[:2])
  return ordered[:1]


def _twice(first: File, second: File) -> UserError:
  return UserError(
    f'{first} and {second} have the same name: remove one of them.'
  )


def _by_stem(
  files: Iterable[File], stem_of: Callable[[File], str | None]
) -> dict[str, File]:
  """Keys files by stem, without those that have another pattern of names."""
  found = {}
  for file in files:
    stem = stem_of(file)
    if stem is None:
      continue
    if stem in found:
      raise _twice(found[stem], file)
    found[stem] = file
  return found


def _photo_stem(file: File) -> str | None:
  return _stem(_PHOTO_NAME, file)


def _mask_stem(file: File) -> str | None:
  return _stem(_MASK_NAME, file)


def _stem(pattern: re.Pattern[str], file: File) -> str | None:
  match = pattern.fullmatch(file.path.name)
  if match and spec.parse_photo(match['stem']):
    return match['stem']
  return None


# Metadata.


def _metadata(layers: list[list[File]]) -> dict[str, dict[str, str]]:
  for files in layers:
    for file in _nearest(_named(files, 'metadata.csv')):
      return _parse_metadata(file)
    for archive in _nearest(_named(files, 'metadata.csv.zip')):
      for file in _named(list(_members(archive)), 'metadata.csv'):
        return _parse_metadata(file)
  return {}


def _parse_metadata(file: File) -> dict[str, dict[str, str]]:
  """Reads id,year,make,model,trim1,trim2; `UserError` if a column lacks."""
  try:
    text = file.read().decode('utf-8-sig')  # with or without a BOM
    table = csv.DictReader(io.StringIO(text, newline=''))
    if missing := set(_COLUMNS) - set(table.fieldnames or ()):
      raise KeyError(min(missing))
    return dict(map(_car, table))
  except (UnicodeDecodeError, KeyError, AttributeError, csv.Error) as error:
    raise UserError(
      f'{file} is not a table of id,year,make,model,trim1,trim2 ({error!r}):'
      ' download it again or remove it.'
    ) from error


def _car(row: dict[str, str]) -> tuple[str, dict[str, str]]:
  row = {key: row[key].strip() for key in _COLUMNS}
  return row['id'], {
    'make': row['make'],
    'model': row['model'],
    'year': row['year'],
    'trim': f'{row["trim1"]} {row["trim2"]}'.strip(),
  }
