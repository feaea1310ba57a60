"""Paths, whole files, locks, JSON and CSV."""

import contextlib
import csv
import errno
import io
import json
import os
import pathlib
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from carvana_jax.system.errors import UserError

# A disk, a user's share of it or the largest file that is allowed is full.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_URL = re.compile('[a-z][a-z0-9+.-]+:/', re.IGNORECASE)


class NoLocksError(OSError):
  """The disk knows no file locks."""


def is_url(text: str) -> bool:
  """Returns whether a text is a URL, even one that `pathlib` has shortened."""
  return _URL.match(text) is not None


def refuse_no_path(text: str) -> None:
  """Raises a `UserError` where a URL, or nothing, was given for a path."""
  if not text:
    raise UserError('a path is empty; give each flag that takes one a path.')
  if is_url(text):
    raise UserError(
      f'{text} is a URL; give a path on this machine, to which you have'
      ' downloaded what is there.'
    )


def absence(path: pathlib.Path) -> str:
  """Returns what messages say of a path that is missing, else ''."""
  return '' if path.exists() else ' (it does not exist)'


def expand(path: str | os.PathLike) -> pathlib.Path:
  """Returns a path with the home folder that its `~` or `~user` stands for.

  Raises:
    UserError: there is no such home folder, or the path is empty or a URL.
  """
  refuse_no_path(os.fspath(path))
  try:
    return pathlib.Path(path).expanduser()
  except RuntimeError as error:  # pathlib's, which does not name the path
    raise UserError(
      f'there is no such home folder as in {path}; write that path in full.'
    ) from error


def absolute(path: str | os.PathLike) -> pathlib.Path:
  """Returns a path that the user gave as an absolute one; see `expand`."""
  return expand(path).absolute()


def write(path: pathlib.Path, content: str | bytes) -> None:
  """Writes a file aside, then renames it: readers see all of it or none.

  Args:
    path: where the file will be; what is there is replaced.
    content: what it will hold; text is encoded as UTF-8.
  """
  if isinstance(content, str):
    content = content.encode()
  # A name of its own: several processes may write the same file.
  aside = path.with_name(f'.{path.name}.{uuid.uuid4().hex[:8]}.tmp')
  try:
    with named(path):
      aside.write_bytes(content)
    os.replace(aside, path)
  except BaseException:
    with contextlib.suppress(OSError):
      aside.unlink()
    raise


@contextlib.contextmanager
def named(path: pathlib.Path) -> Iterator[None]:
  """Gives an error of a file the file's name, which that of a full disk lacks.

  Args:
    path: the file that is written, or whose name the user knows.
  """
  try:
    yield
  except OSError as error:
    if error.filename is not None or error.errno is None:
      raise
    raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def full_disk_named(folder: pathlib.Path) -> Iterator[None]:
  """Makes an `OSError` of what a writer in C++ raises where a disk is full.

  Args:
    folder: where it writes.
  """
  try:
    yield
  except RuntimeError as error:  # which tells the reason by its words alone
    for number in FULL:
      if os.strerror(number) in str(error):
        reason = OSError(number, os.strerror(number), str(folder))
        raise reason from error
    raise


def remove_leftovers(folder: pathlib.Path, name: str = '*') -> None:
  """Removes what `write` leaves aside if its process is killed.

  Args:
    folder: a folder in which no process is writing these files.
    name: a pattern of the names of the files.
  """
  for aside in folder.glob(f'.{name}.*.tmp'):
    aside.unlink()


def check_folder(path: pathlib.Path, flag: str = '--output') -> None:
  """Checks that a folder can be made and written to, before work is lost.

  Args:
    path: the folder, an absolute path.
    flag: the flag that names it.

  Raises:
    UserError: a file is in its place, or the permissions forbid it.
  """
  # A link to nowhere is in the way, too.
  there = next(x for x in (path, *path.parents) if os.path.lexists(x))
  if not there.is_dir():
    raise UserError(f'{there} is no folder; choose another {flag}.')
  as_now = os.access in os.supports_effective_ids
  if not os.access(there, os.W_OK | os.X_OK, effective_ids=as_now):
    raise UserError(
      f'{there} may not be written to; change its permissions or choose '
      f'another {flag}.'
    )


@contextlib.contextmanager
def lock(path: pathlib.Path, wait: bool = True) -> Iterator[None]:
  """Keeps other processes from holding a lock of the same path.

  The system lets go of a lock when its process ends, however it ends.

  Args:
    path: a folder, or a file, which is made if it is missing.
    wait: whether to wait while another process holds the lock.

  Raises:
    BlockingIOError: another process holds the lock, and `wait` is False.
    NoLocksError: the disk knows no locks.
    OSError: the path cannot be opened.
  """
  import filelock  # here, as a light installation locks nothing

  if os.name == 'nt' and path.is_dir():
    path = path / '.lock'  # Windows opens no folders
  # Network disks lock only files that are open for writing.
  mode = os.O_RDONLY if path.is_dir() else os.O_WRONLY | os.O_CREAT
  number = os.open(path, mode, 0o666)
  try:
    try:
      is_held = filelock.lock_descriptor(number, blocking=wait)
    except OSError as error:
      raise NoLocksError(error.errno, error.strerror) from error
    if not is_held:
      raise BlockingIOError(errno.EAGAIN, 'locked', str(path))
    yield
  finally:
    os.close(number)


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads the object in a JSON file.

  Returns:
    The object; no number in it is NaN or infinite.

  Raises:
    UserError: the file is damaged.
  """
  try:
    value = json.loads(path.read_text(), parse_constant=_refuse)
    if isinstance(value, dict):
      return value
  except (ValueError, RecursionError):
    pass
  raise UserError(f'{path} is damaged; remove it.')


def utf8_text(data: bytes, name: str) -> str:
  """Decodes the text of a user's file, with or without a byte order mark.

  Args:
    data: the file's bytes.
    name: what messages call the file.

  Raises:
    UserError: it is in another encoding, as spreadsheets save tables.
  """
  try:
    return data.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    line = data.count(b'\n', 0, error.start) + 1
    raise UserError(
      f'{name} is not UTF-8 (line {line}); save it as UTF-8.'
    ) from error


def csv_text(
  rows: Iterable[dict[str, Any]],
  columns: Sequence[str] | None = None,
  line_end: str = '\n',
) -> str:
  """Returns a table as CSV, the names of its columns in the first line.

  Args:
    rows: {column: value} of every row.
    columns: the columns in their order; None for those of the first row, of
      which there must be one.
    line_end: what every line ends with.
  """
  rows = list(rows)
  table = io.StringIO()
  columns = columns or list(rows[0])
  writer = csv.DictWriter(table, columns, lineterminator=line_end)
  writer.writeheader()
  writer.writerows(rows)
  return table.getvalue()


def _refuse(constant):
  raise ValueError(constant)
