"""What prepared examples are labelled with, without their pictures.

Their pictures lie beside the labels in the files, so these are read once and
kept in a file of their own, from which thousands come in a moment.
"""

import contextlib
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import reading
from carvana_jax.system import files, progress, stamps, threads
from carvana_jax.system.errors import UserError

_FILE = 'labels.json'  # in the folder of the prepared data set


class Labels(NamedTuple):
  """Labels of N examples, in the order in which these are stored."""

  filename: np.ndarray  # str [N]
  car_id: np.ndarray  # str [N]
  fold: np.ndarray  # int64 [N]

  def at(self, positions: np.ndarray | slice) -> 'Labels':
    """Returns those of some examples."""
    return Labels(*(column[positions] for column in self))


def of(builder: tfds.core.DatasetBuilder, splits: Sequence[str]) -> Labels:
  """Returns the labels of some splits, one after the other.

  Args:
    builder: a data set in random-access files.
    splits: their names; not `unlabeled`.

  Raises:
    UserError: files are missing or damaged.
  """
  by_split = _by_split(pathlib.Path(builder.data_path))
  return Labels(
    *map(np.concatenate, zip(*(by_split[x] for x in splits), strict=True))
  )


@functools.lru_cache(maxsize=4)  # prepared files do not change
def _by_split(folder: pathlib.Path) -> dict[str, Labels]:
  builder = reading.open_folder(folder)
  counts = {
    name: info.num_examples
    for name, info in builder.info.splits.items()
    if name != 'unlabeled'
  }
  paths = sorted(folder.glob('*.array_record*'))
  known = {path.name: stamps.of_path(path) for path in paths}
  columns = _kept(folder / _FILE, known, sum(counts.values()))
  if not columns:
    with reading.readable_errors(folder):
      columns = _read(builder, '+'.join(counts))
    if all(known.values()):
      text = json.dumps({'files': known, **columns})
      # Where nothing can be written, it is read anew each time.
      with contextlib.suppress(OSError, UserError):
        files.write(folder / _FILE, text)
  found = Labels(*map(np.array, columns.values()))
  ends = np.cumsum(list(counts.values())).tolist()
  return {
    name: found.at(slice(end - count, end))
    for (name, count), end in zip(counts.items(), ends, strict=True)
  }


def _kept(path, known, count):
  """Returns the columns in the file, if they are of the files at hand."""
  try:
    content = files.read_json(path)
  except (OSError, UserError):  # it is not there, or damaged
    return None
  if content.pop('files', None) != known or [*content] != [*Labels._fields]:
    return None
  kinds = zip(content.values(), (str, str, int), strict=True)
  is_good = all(
    isinstance(column, list)
    and len(column) == count
    and all(type(x) is kind for x in column)
    for column, kind in kinds
  )
  return content if is_good else None


def _read(builder, split):
  source = reading.undecoded_examples(builder, split)

  def label(position):
    row = source[position]
    return row['filename'].decode(), row['car_id'].decode(), int(row['fold'])

  rows = progress.bar(
    threads.ordered_map(label, range(len(source))),
    total=len(source),
    title='labels',
    unit='example',
  )
  columns = map(list, zip(*rows, strict=True))
  return dict(zip(Labels._fields, columns, strict=True))
