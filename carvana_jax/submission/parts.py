"""A submission that is being made: finished rows in files of some cars each.

    OUTPUT.parts/
      settings.json    what the rows are made with, and of which photos
      part_00012.csv   a line of JSON (settings' digest, part, failed photos),
                       then rows

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
from collections.abc import Iterable, Sequence
from typing import Any

from carvana_jax.inference import output_folder
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
  ) -> 'Parts':
    """Makes the folder of the parts beside OUTPUT, or finds it.

    Args:
      output: the submission, .csv or .csv.gz.
      cars: the names of the rows in their order, a list for each car.
      settings: what else the rows depend on, as for JSON.

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
    settings = output_folder.claim(folder_of(output), settings)
    if settings.pop('input_digest', None):
      settings.pop('input')  # another on each host
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

  def write(
    self, number: int, runs: dict[str, str], failed: dict[str, str]
  ) -> None:
    """Writes a whole part.

    Args:
      number: the part's, from 0 on.
      runs: the runs of its photos by their names, see `rle.encode`.
      failed: why a photo has no runs, by the photo's name.
    """
    header = {'settings': self._digest, 'part': number, 'failed': failed}
    rows = [table.row(x, runs.get(x, '')) for x in self.names_of(number)]
    text = ''.join([json.dumps(header), '\n', *rows])
    files.write(self._path(number), text)

  def join(self) -> None:
    """Joins all parts to the submission, and removes their folder.

    Where another process has made the submission already, it stays as it is.
    Photos that failed are listed in the file `failures_of`.

    Raises:
      UserError: a part is missing, damaged or of another submission; all
        photos failed; or the folder is gone, and there is no submission.
    """
    try:
      with files.lock(self._folder / 'lock'):
        if not self._output.exists():
          self._join()
        shutil.rmtree(self._folder)
    except FileNotFoundError as error:
      # Gone, since another process has joined the parts; or for no good reason.
      if not self._output.exists():
        raise UserError(
          f'{self._output} could not be made ({error}); run the same command '
          'again.'
        ) from error

  def _join(self):
    aside = self._output.with_name(f'{self._output.name}.tmp')
    try:
      with files.named(self._output), _create(aside) as file:
        failed = self._write_all(file)
      if len(failed) == self._row_count:
        shutil.rmtree(self._folder)  # the photos are looked at again
      output_folder.refuse_all_failed(failed, self._row_count)
      output_folder.write_failures(failures_of(self._output), failed)
      os.replace(aside, self._output)
    finally:
      aside.unlink(missing_ok=True)

  def _write_all(self, file):
    """Writes the header and all parts; returns why photos failed, by name."""
    file.write(table.HEADER.encode())
    failed = {}
    numbers = progress.bar(
      range(self.count), total=self.count, unit='part', title='joining'
    )
    for number in numbers:
      rows, failed_here = self._read(number)
      file.write(rows.encode())
      failed |= failed_here
    return failed

  def _read(self, number):
    """Returns the rows of a part, and why photos failed, by their names."""
    path = self._path(number)
    try:
      first, *rows, end = path.read_text().split('\n')
      header = json.loads(first)
      names = [row.partition(',')[0] for row in rows]
      good = header['settings'] == self._digest and header['part'] == number
      good = good and names == self.names_of(number) and not end
      failed = dict(header['failed'])
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
    return '\n'.join([*rows, end]), failed

  def _path(self, number):
    return self._folder / f'part_{number:05}.csv'


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
    self._runs = {number: {} for number in self._missing}
    self._failed = {number: {} for number in self._missing}

  def add(self, name: str, runs: str) -> None:
    """Takes the runs of a photo.

    Args:
      name: of the photo's row.
      runs: the mask from `rle.encode`.
    """
    self._take(self._runs, name, runs)

  def fail(self, name: str, reason: str) -> None:
    """Takes the reason why a photo has no runs.

    Args:
      name: of the photo's row.
      reason: a sentence for the list of failures.
    """
    self._take(self._failed, name, reason)

  def _take(self, where, name, text):
    number = self._part_of[name]
    where[number][name] = text
    self._missing[number] -= 1
    if not self._missing[number]:
      runs, failed = self._runs.pop(number), self._failed.pop(number)
      self._store.write(number, runs, failed)


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
