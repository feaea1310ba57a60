"""A submission that is being made: finished rows in files of some cars each.

    OUTPUT.parts/
      settings.json    what the rows are made with
      part_00012.csv   a line of JSON (settings' digest, part, failed photos,
                       photos without a car, what the photos held), then rows

A part is renamed into place when it is whole, so a process that is killed
leaves whole parts only. The rows of a part do not depend on the other parts.
"""

import collections
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from carvana_jax.inference import contents, output_folder
from carvana_jax.submission import table
from carvana_jax.system import files, progress
from carvana_jax.system.errors import UserError

# The fewest rows of a part but the last: seconds of work for a small network.
_ROWS = 128


class Parts:
  """The parts of one submission, see `Parts.open`."""

  def __init__(
    self, output: pathlib.Path, cars: Sequence[Sequence[str]], digest: str
  ):
    """Constructs the parts, whose folder must exist before they are written.

    Args:
      output: the submission, .csv or .csv.gz.
      cars: the names of the rows in their order, a list for each car.
      digest: tells the settings of these parts from those of others.
    """
    self._output = output
    self._folder = folder_of(output)
    self._cars = list(_grouped(cars))
    self._row_count = sum(map(len, cars))
    self._digest = digest

  @classmethod
  def open(
    cls,
    output: pathlib.Path,
    cars: Sequence[Sequence[str]],
    settings: dict[str, Any],
    notes: dict[str, Any] | None = None,
  ) -> 'Parts':
    """Makes the folder of the parts beside OUTPUT, or finds it.

    Args:
      output: the submission, .csv or .csv.gz.
      cars: the names of the rows in their order, a list for each car.
      settings: what else the rows depend on, as for JSON.
      notes: what else is to be written in settings.json, as for JSON.

    Returns:
      The parts, of which some may have been written earlier.

    Raises:
      UserError: the folder holds the parts of another submission, or a name
        can't be in one.
    """
    names = [name for car in cars for name in car]
    for name in names:
      table.row(name, '')
    names_digest = hashlib.sha256('\n'.join(names).encode()).hexdigest()
    settings = settings | {'photos': len(names), 'names': names_digest}
    output_folder.claim(folder_of(output), settings, notes)
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    return cls(output, cars, digest)

  @property
  def count(self) -> int:
    """How many parts there are once all are written."""
    return len(self._cars)

  def cars_of(self, number: int) -> list[Sequence[str]]:
    """Returns the names of a part's rows, a list for each car."""
    return self._cars[number]

  def names_of(self, number: int) -> list[str]:
    """Returns the names of a part's rows."""
    return [name for car in self._cars[number] for name in car]

  def is_done(self, number: int) -> bool:
    """Returns whether a part has been written."""
    return self._path(number).exists()

  def contents_of(self, number: int) -> dict[str, contents.Content | None]:
    """Returns what the photos of a part held that has been written.

    Args:
      number: the part's, from 0 on.

    Returns:
      The contents by the names of all rows, None for photos that could not be
      read; nothing where the part is damaged or of other settings.
    """
    try:
      with self._path(number).open() as file:
        header = json.loads(file.readline())
      if header['settings'] != self._digest:
        return {}
      held = [x and contents.Content(*x) for x in header['contents']]
      return dict(zip(self.names_of(number), held, strict=True))
    except (OSError, ValueError, KeyError, TypeError):
      return {}

  def write(self, number: int, rows: Sequence['Row']) -> None:
    """Writes a whole part.

    Args:
      number: the part's, from 0 on.
      rows: its rows, in the order of `names_of`.
    """
    named = list(zip(self.names_of(number), rows, strict=True))
    header = {
      'settings': self._digest,
      'part': number,
      'failed': {name: row.failure for name, row in named if row.failure},
      'empty': [name for name, row in named if row.is_empty],
      'contents': [row.content for row in rows],
    }
    lines = [table.row(name, row.runs) for name, row in named]
    text = ''.join([json.dumps(header), '\n', *lines])
    files.write(self._path(number), text)

  def remove(self, number: int) -> None:
    """Removes a part that is to be written again, if it is there."""
    self._path(number).unlink(missing_ok=True)

  def join(self, check: Callable[[], None] = lambda: None) -> list[str]:
    """Joins all parts to the submission, and removes their folder.

    Where another process has made the submission already, it stays as it is.
    Photos that failed are listed in the file `failures_of`.

    Args:
      check: is called before parts are joined, while other processes that would
        join them wait; it may write some of them again.

    Returns:
      The names of the rows of photos in which no car was found; none where
      another process has made the submission.

    Raises:
      UserError: a part is missing, damaged or of another submission; all
        photos failed; or the folder is gone, and there is no submission.
    """
    empty = []
    try:
      with files.lock(self._folder / 'lock'):
        if not self._output.exists():
          check()
          empty = self._join()
      # Windows removes no file that is open, as the lock is.
      shutil.rmtree(self._folder)
    except FileNotFoundError as error:
      # Gone, since another process has joined the parts; or for no good reason.
      if not self._output.exists():
        raise UserError(
          f'{self._output} could not be made ({error}); run the same command '
          'again.'
        ) from error
    return empty

  def _join(self):
    aside = self._output.with_name(f'{self._output.name}.tmp')
    try:
      with files.named(self._output), _create(aside) as file:
        failed, empty = self._write_all(file)
      if len(failed) == self._row_count:
        shutil.rmtree(self._folder)  # the photos are looked at again
      output_folder.refuse_all_failed(failed, self._row_count)
      output_folder.write_failures(failures_of(self._output), failed)
      os.replace(aside, self._output)
      return empty
    finally:
      aside.unlink(missing_ok=True)

  def _write_all(self, file):
    """Writes all; returns why photos failed, and those without a car."""
    file.write(table.HEADER.encode())
    failed, empty = {}, []
    numbers = progress.bar(
      range(self.count), total=self.count, unit='part', title='joining'
    )
    for number in numbers:
      rows, failed_here, empty_here = self._read(number)
      file.write(rows.encode())
      failed |= failed_here
      empty += empty_here
    return failed, empty

  def _read(self, number):
    """Returns a part's rows, why photos failed, and those without a car."""
    path = self._path(number)
    try:
      first, *rows, end = path.read_text().split('\n')
      header = json.loads(first)
      names = [row.partition(',')[0] for row in rows]
      good = header['settings'] == self._digest and header['part'] == number
      good = good and names == self.names_of(number) and not end
      failed, empty = dict(header['failed']), list(header['empty'])
    except FileNotFoundError as error:
      raise UserError(
        f'{path} is missing; run the same command again with --num_processes=1.'
      ) from error
    except (ValueError, KeyError, TypeError):
      good = False
    if not good:
      raise UserError(
        f'{path} is damaged or of another submission; remove it and run the '
        'same command again.'
      )
    return '\n'.join([*rows, end]), failed, empty

  def _path(self, number):
    return self._folder / f'part_{number:05}.csv'


class Row(NamedTuple):
  """What is known of a row.

  Attributes:
    runs: the mask from `rle.encode`.
    content: what the photo's file held; None if it could not be read.
    is_empty: whether no car was found.
    failure: why there is no mask, a sentence for the list of failures.
  """

  runs: str = ''
  content: contents.Content | None = None
  is_empty: bool = False
  failure: str = ''


class Collector:
  """Takes rows in any order, and writes a part once it has all of its rows."""

  def __init__(self, store: Parts, numbers: Iterable[int]):
    """Constructs a collector that has no row.

    Args:
      store: where the parts are written.
      numbers: of the parts whose rows will come.
    """
    self._store = store
    self._part_of = {x: n for n in numbers for x in store.names_of(n)}
    self._missing = collections.Counter(self._part_of.values())  # rows, by part
    self._rows = {}

  def add(self, name: str, row: Row) -> None:
    """Takes the row of a photo, by its name."""
    self._rows[name] = row
    number = self._part_of[name]
    self._missing[number] -= 1
    if not self._missing[number]:
      names = self._store.names_of(number)
      self._store.write(number, [self._rows.pop(x) for x in names])


def folder_of(output: pathlib.Path) -> pathlib.Path:
  """Returns the folder of a submission's parts: submission.csv.parts."""
  return output.with_name(f'{output.name}.parts')


def failures_of(output: pathlib.Path) -> pathlib.Path:
  """Returns the list of photos that failed: submission.csv.failed.csv."""
  return output.with_name(f'{output.name}.failed.csv')


def _grouped(cars):
  """Yields lists of cars with `_ROWS` photos or more, the last with fewer."""
  group = []
  for car in cars:
    group.append(car)
    if sum(map(len, group)) >= _ROWS:
      yield group
      group = []
  if group:
    yield group


@contextlib.contextmanager
def _create(path):
  """Opens a file for writing, in gzip where its name will end in .gz."""
  with path.open('wb') as file:
    if path.name.endswith('.gz.tmp'):
      # Without name and time, so that equal submissions are equal files.
      with gzip.GzipFile('', 'wb', 6, file, mtime=0) as packed:
        yield packed
    else:
      yield file
