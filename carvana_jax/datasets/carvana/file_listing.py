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
from collections.abc import Callable, Collection, Iterator
from typing import IO

from etils import epath

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
  """

  label: str
  path: pathlib.PurePosixPath
  size: int
  open: Callable[[], IO[bytes]]

  def read(self) -> bytes:
    """Returns the file's bytes.

    Raises:
      UserError: the file is far too large, or the disk or the archive is
        damaged.
    """
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

  def __str__(self) -> str:
    return self.label


def files_in_folder(
  folder: epath.Path, groups: Collection[str], inside: tuple[str, ...] = ()
) -> Iterator[File]:
  """Yields the files of a folder, and of those of its folders that matter.

  These are all folders in it and, within them, those named after a group, as
  in train/, ANY/train/ and, unpacked with one folder too many,
  ANY/train/train/. No others are looked into, as the folder may be a large one.

  Args:
    folder: where to look.
    groups: the names of folders that hold photos or masks.
    inside: the folders that led here from the one that was asked for.

  Yields:
    The files in the order of their names, without links to nowhere, pipes,
    devices, hidden files and the litter of macOS.
  """
  for path in sorted(folder.iterdir()):
    parts = (*inside, path.name)
    if _is_hidden(parts):
      continue
    if path.is_dir():
      if not inside or (path.name in groups and len(inside) < 3):
        yield from files_in_folder(path, groups, parts)
    elif path.exists() and _is_regular(path):  # no link to nowhere
      relative = pathlib.PurePosixPath(*parts)
      opener = functools.partial(path.open, 'rb')
      yield File(str(relative), relative, path.stat().length, opener)


def files_in_archive(archive: File) -> Iterator[File]:
  """Yields the files of a ZIP, without hidden ones and the litter of macOS.

  An archive inside another one is copied to a nameless temporary file, which
  vanishes with the last of the files.

  Args:
    archive: the ZIP, in a folder or in another archive.

  Raises:
    UserError: it is not a whole ZIP, or there is no space for the copy.
  """
  try:
    opened = zipfile.ZipFile(_seekable(archive))
  except zip_archives.READ_ERRORS as error:
    raise UserError(
      f'{archive} is not a complete zip archive ({error}): download it again'
      ' or remove it.'
    ) from error
  for info in opened.infolist():
    path = pathlib.PurePosixPath(info.filename)
    # A damaged directory may have members without a name.
    if path.name and not info.is_dir() and not _is_hidden(path.parts):
      opener = functools.partial(opened.open, info)
      yield File(f'{archive}:{path}', path, info.file_size, opener)


def _is_hidden(parts: tuple[str, ...]) -> bool:
  """Returns whether a path is to be passed over, or leads upwards."""
  return '..' in parts or zip_archives.is_litter(parts)


def _is_regular(path: epath.Path) -> bool:
  """Returns whether it is no pipe or device, which might never end."""
  mode = path.stat().mode  # None in the cloud
  return mode is None or stat.S_ISREG(mode)


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
