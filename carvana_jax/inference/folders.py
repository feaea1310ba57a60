"""Searches folders, and expands patterns, without walking in circles.

Python's own `glob` follows a link to a folder above up to 40 times, and does
not end where there are two of them.
"""

import glob
import os
import pathlib
import stat
from collections.abc import Iterable, Iterator, Sequence

from carvana_jax.inference import left_out
from carvana_jax.system import zip_archives
from carvana_jax.system.errors import UserError

_SIGNS = '*?['  # of patterns


class Search:
  """Finds files, but none that are hidden, or results of this program."""

  def __init__(
    self,
    recursive: bool,
    own: Iterable[str | os.PathLike],
    rest: left_out.LeftOut,
  ):
    """Constructs the search.

    Args:
      recursive: whether the folders in a folder are searched, too.
      own: files and folders that the command writes, passed over in silence.
      rest: takes the folders that are left out.
    """
    self._recursive = recursive
    own = [os.path.realpath(path) for path in own]
    self._own = set(map(identity, own))
    self._own_names = set(map(os.path.basename, own))
    self._rest = rest

  def below(self, top: str) -> Iterator[str]:
    """Yields the paths of the files in a folder.

    Raises:
      UserError: the folder can't be read.
    """
    for _, paths in self._walk(top, top, self._recursive):
      yield from paths

  def matches(self, pattern: str) -> list[str]:
    """Returns the paths of the files that a pattern matches.

    Args:
      pattern: of paths; `**` stands for any folders, and what exists as it is
        written for itself.
    """
    base, parts = fixed_part(pattern)
    following = [*parts[1:], '']
    parts = [
      x for x, y in zip(parts, following, strict=True) if x + y != '****'
    ]
    found = {}
    for path in self._expand(base, base, parts):
      if not os.path.isdir(path):
        found[path] = None
      elif self._recursive:
        for _, paths in self._walk(path, base, deep=True):
          found |= dict.fromkeys(paths)
      elif '**' not in parts:
        self._leave(path, base, left_out.FOLDER)
    return list(found)

  def _expand(
    self, folder: str, base: str, parts: Sequence[str]
  ) -> Iterator[str]:
    """Yields the files and folders that the parts of a pattern match."""
    part, *more = parts
    if part == '**':
      for inner, paths in self._walk(folder, base, deep=True):
        yield from self._expand(inner, base, more) if more else paths
      return
    root = folder or None
    names = glob.glob(part, root_dir=root) or glob.glob(
      part.replace('[', '[[]'), root_dir=root
    )
    for name in sorted(names):
      # What is written out is wanted; what signs stand for may be litter.
      if name != part and zip_archives.is_litter([name]):
        continue
      path = os.path.join(folder, name)
      if os.path.isdir(path):
        if self._may_enter(path, base):
          yield from self._expand(path, base, more) if more else [path]
      elif not more and self._may_be_photo(path, base):
        yield path

  def _walk(
    self, top: str, base: str, deep: bool
  ) -> Iterator[tuple[str, list[str]]]:
    """Yields folders, each with the paths of the files in it.

    Args:
      top: the first folder.
      base: the folder from which messages see the others.
      deep: whether to go on with the folders in it; each is entered once,
        whatever links lead to it.
    """
    seen = {identity(x) for x in pathlib.Path(os.path.realpath(top)).parents}
    near, linked = [top], []  # linked ones last: their own names come first
    while near or linked:
      folder = near.pop() if near else linked.pop()
      if identity(folder) in seen:
        self._leave(folder, base, left_out.SEEN)
        continue
      seen.add(identity(folder))
      inner, paths = self._listing(folder, base)
      yield folder, paths
      for path in inner:
        if not deep:
          self._leave(path, base, left_out.FOLDER)
        elif self._may_enter(path, base):
          (linked if os.path.islink(path) else near).append(path)

  def _listing(self, folder: str, base: str) -> tuple[list[str], list[str]]:
    """Returns the folders in a folder, the last by name first, and its files.

    The caller takes folders from the end. Where two links lead to one folder,
    the first one names its photos, so the order must not be the disk's.
    """
    inner, paths = [], []
    try:
      with os.scandir(folder or os.curdir) as entries:
        for entry in entries:
          if zip_archives.is_litter([entry.name]):
            continue
          path = os.path.join(folder, entry.name)
          kind = _kind(entry)
          if kind == 'folder':
            inner.append(path)
          elif self._may_be_photo(path, base, kind == 'file'):
            paths.append(path)
    except OSError as error:
      if folder == base:
        raise UserError(
          f'{folder} cannot be read ({error.strerror}); change its permissions'
          ' or give another --input.'
        ) from error
      self._leave(folder, base, f'cannot be read: {error.strerror}')
    return sorted(inner, reverse=True), paths

  def _may_enter(self, folder: str, base: str) -> bool:
    """Returns whether a folder holds no results, and notes older ones."""
    if not _holds_results(folder):
      return True
    self._leave(folder, base, left_out.RESULTS)
    return False

  def _may_be_photo(self, path: str, base: str, is_file: bool = False) -> bool:
    """Returns whether a path is of a file, and notes pipes and the like."""
    # Most names differ, which takes no look at the disk.
    if os.path.basename(path) in self._own_names and (
      identity(path) in self._own
    ):
      return False
    if is_file or _is_regular(path):
      return True
    self._rest.add(seen_from(base, path), left_out.NO_PHOTO)
    return False

  def _leave(self, folder: str, base: str, reason: str) -> None:
    """Notes that a folder is left out, unless it is the command's own."""
    if reason == left_out.FOLDER and _holds_results(folder):
      reason = left_out.RESULTS
    if identity(folder) not in self._own:
      self._rest.add(f'{seen_from(base, folder)}/', reason)


def fixed_part(pattern: str) -> tuple[str, list[str]]:
  """Splits a pattern into the folder that it begins with and the other parts.

  Args:
    pattern: of paths.

  Returns:
    The folder, '' for the current one, without signs of patterns other than [
    and ] that are in the name of an existing folder; and the names below it, at
    least one.
  """
  drive, rest = os.path.splitdrive(pattern)
  parts = rest.replace(os.sep, '/').split('/')
  base = drive
  if not parts[0]:
    base, parts = f'{drive}{os.sep}', parts[1:]
  parts = [part for part in parts if part] or ['']
  while len(parts) > 1:
    path = os.path.join(base, parts[0])
    if _SIGNS[0] in parts[0] or _SIGNS[1] in parts[0]:
      break
    if _SIGNS[2] in parts[0] and not os.path.isdir(path):
      break
    base, parts = path, parts[1:]
  return base, parts


def seen_from(base: str, path: str) -> str:
  """Returns a path below a folder as it is seen from there, with slashes."""
  return path[len(os.path.join(base, '')) :].replace(os.sep, '/')


def identity(path: str | os.PathLike) -> tuple[int, int] | str:
  """Returns what all paths of one file or folder have in common.

  Args:
    path: of the file or folder, '' for the current folder.

  Returns:
    The disk and the number on it; of what does not exist, the path.
  """
  try:
    status = os.stat(path or os.curdir)
  except OSError:
    return os.fspath(path)
  return status.st_dev, status.st_ino


def _kind(entry):
  """Returns what an entry is: folder, file, or '' where a look will tell."""
  try:
    return 'folder' if entry.is_dir() else 'file' if entry.is_file() else ''
  except OSError:  # a link in a circle
    return ''


def _is_regular(path):
  """Returns whether a path is of a file, or of a link to a missing one."""
  try:
    return stat.S_ISREG(os.stat(path).st_mode)
  except OSError:  # whoever opens it will say why
    return True


def _holds_results(folder):
  """Whether predict or submit has made a folder."""
  try:
    with open(os.path.join(folder, 'settings.json'), 'rb') as stream:
      return b'"networks"' in stream.read(2**20)
  except OSError:
    return False
