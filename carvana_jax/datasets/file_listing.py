"""The files of a folder, and the members of ZIP archives, as one kind of thing.

Archives are read member by member and never unpacked: a member's path is only
looked at, and no file is ever written under it.
"""

import dataclasses
import errno
import functools
import os
import pathlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Collection
from typing import IO, NamedTuple

from etils import epath

from carvana_jax.datasets import unused_files
from carvana_jax.datasets.unused_files import UnusedFile
from carvana_jax.system import zip_archives
from carvana_jax.system.errors import UserError


@dataclasses.dataclass(frozen=True, slots=True)
class File:
  """One file of a folder or of an archive.

  `str()` tells a user where it is, such as
  `train.zip:train/0cdf5b5d0ce1_01.jpg`, relative to the manual folder.

  Attributes:
    label: what `str()` returns.
    path: where the file lies in its folder or archive.
    size: of its content, in bytes.
    open: opens the file for reading.
    crc: CRC-32 of its content, where the archive tells it.
    place: the file itself, where it is unpacked.
    locked: why the archive does not give it; empty where it does.
  """

  label: str
  path: pathlib.PurePosixPath
  size: int
  open: Callable[[], IO[bytes]]
  crc: int | None = None
  place: epath.Path | None = None
  locked: str = ''

  def read(self) -> bytes:
    """Returns the file's bytes.

    Raises:
      UserError: the file is far too large or locked, or the disk or the
        archive is damaged.
    """
    self.refuse_locked()
    if self.size > zip_archives.MOST_BYTES:
      raise UserError(
        f'{self} has {self.size / 2**30:.1f} GiB, far too much: download it '
        'again or remove it.'
      )
    try:
      with self.open() as stream:
        return stream.read()
    except zip_archives.READ_ERRORS as error:
      raise UserError(
        f'{self} cannot be read ({error}): download it again.'
      ) from error

  def refuse_locked(self) -> None:
    """Raises a `UserError` where the archive does not give the file."""
    if self.locked:
      raise UserError(
        f'{self} {self.locked}: unpack the archive with another program.'
      )

  def __str__(self) -> str:
    return self.label


class Listing(NamedTuple):
  """The files of a folder or archive, and what in it is not looked at."""

  files: list[File]
  left_out: list[UnusedFile]


def files_in_folder(
  folder: epath.Path, groups: Collection[str], inside: tuple[str, ...] = ()
) -> Listing:
  """Lists the files of a folder, and of those of its folders that matter.

  These are all folders in it and, within them, those named after a group, as
  in train/, ANY/train/ and, unpacked with one folder too many,
  ANY/train/train/. No others are looked into, as the folder may be a large one.

  Args:
    folder: where to look.
    groups: the names of folders that hold photos or masks, in lower case.
    inside: the folders that led here from the one that was asked for.

  Returns:
    The files in the order of their names, without hidden ones and the litter
    of systems. Links to nowhere, pipes and devices are left out.
  """
  found = Listing([], [])
  for path in sorted(folder.iterdir()):
    parts = (*inside, path.name)
    if zip_archives.is_litter(parts):
      continue
    label = '/'.join(parts)
    if path.is_dir():
      if not inside or (path.name.lower() in groups and len(inside) < 3):
        deeper = files_in_folder(path, groups, parts)
        found.files.extend(deeper.files)
        found.left_out.extend(deeper.left_out)
      elif count := _count(path):
        found.left_out.append(UnusedFile(f'{label}/', unused_files.DEEP, count))
    elif path.exists() and _is_regular(path):
      opener = functools.partial(path.open, 'rb')
      size = path.stat().length
      found.files.append(File(label, _inner(label), size, opener, place=path))
    else:
      found.left_out.append(UnusedFile(label, unused_files.NO_FILE))
  return found


def files_in_archive(archive: File) -> Listing:
  """Lists the files of a ZIP, without hidden ones and the litter of systems.

  An archive inside another one is copied to a nameless temporary file, which
  vanishes with the last of the files.

  Args:
    archive: the ZIP, in a folder or in another archive.

  Returns:
    The files in the archive's order. Those whose paths lead out of it are left
    out.

  Raises:
    UserError: it is not a whole ZIP, it is locked in another one, or there is
      no space for the copy.
  """
  archive.refuse_locked()
  try:
    opened = zipfile.ZipFile(_seekable(archive))
  except zip_archives.READ_ERRORS as error:
    raise UserError(
      f'{archive} is not a complete zip archive ({error}): download it again'
      ' or remove it.'
    ) from error
  found = Listing([], [])
  for info in opened.infolist():
    path = _inner(info.filename)
    label = f'{archive}:{path}'
    # A damaged directory may have members without a name.
    if not path.name or _is_folder(info) or zip_archives.is_litter(path.parts):
      continue
    if '..' in path.parts:
      found.left_out.append(UnusedFile(label, unused_files.OUTSIDE))
      continue
    opener = functools.partial(opened.open, info)
    locked = zip_archives.locked(info)
    file = File(label, path, info.file_size, opener, info.CRC, locked=locked)
    found.files.append(file)
  return found


def _count(folder: epath.Path) -> int:
  try:
    return sum(1 for _ in folder.iterdir())
  except PermissionError:
    return 1


def _inner(name: str) -> pathlib.PurePosixPath:
  """Returns a path; old tools for Windows write backslashes."""
  return pathlib.PurePosixPath(name.replace('\\', '/'))


def _is_folder(info: zipfile.ZipInfo) -> bool:
  return info.filename.endswith(('/', '\\'))


def _is_regular(path: epath.Path) -> bool:
  """Returns whether it is no pipe or device, which might never end."""
  return stat.S_ISREG(path.stat().mode)


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
