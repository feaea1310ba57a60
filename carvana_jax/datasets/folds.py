"""Which examples are trained on and which validated on, by cars' folds."""

import collections
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import reading, spec
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

# Whose cars the prepared data sets hold in their split validation.
DEFAULT = (spec.VALIDATION_FOLD,)

_MOVABLE = ('train', 'validation')  # the test split stays as it is


class Selection(NamedTuple):
  """Examples of a prepared data set."""

  split: str  # as TFDS names it: one split, or several joined by +
  positions: np.ndarray  # int64 [N], of the examples in it


def select(
  builder: tfds.core.DatasetBuilder,
  split: str,
  validation_folds: Sequence[int] = DEFAULT,
) -> Selection:
  """The examples that a run means by the name of a split.

  Nothing is read for the folds that the data set itself has set apart; for
  others, the records of train and validation once in a process, without
  decoding a picture.

  Args:
    builder: the prepared data set, of any size.
    split: train, validation, test, or all (every labelled example).
    validation_folds: `config.data.validation_folds`; the cars of the others but
      the test split's are train.

  Returns:
    The examples, as stored.

  Raises:
    UserError: there are none.
  """
  there = [name for name in builder.info.splits if name != 'unlabeled']
  moved = split in _MOVABLE and tuple(validation_folds) != DEFAULT
  names = [x for x in there if split in ('all', x) or (moved and x in _MOVABLE)]
  joined = '+'.join(names)
  positions = np.arange(
    sum(builder.info.splits[name].num_examples for name in names)
  )
  if moved and names:
    found = _folds(builder.data_path, joined)
    chosen = np.isin(found, validation_folds) == (split == 'validation')
    positions = np.flatnonzero(chosen & (found != spec.TEST_FOLD))
  if not len(positions):
    folds = ', '.join(map(str, validation_folds))
    raise UserError(
      f'{builder.info.full_name} has no car in its {split} split'
      f'{f" with the folds {folds} for validation" if moved else ""}, which '
      f"follows from the cars' ids; it has {', '.join(there)}: add cars to the "
      'folder.'
    )
  return Selection(joined, positions)


def folds_with_cars(builder: tfds.core.DatasetBuilder) -> list[int]:
  """The folds but the test split's that have a car, in their order."""
  names = [name for name in _MOVABLE if name in builder.info.splits]
  if not names:
    return []
  found = np.unique(_folds(builder.data_path, '+'.join(names))).tolist()
  return [fold for fold in found if fold != spec.TEST_FOLD]


@functools.cache
def _folds(folder: pathlib.Path, split: str) -> np.ndarray:
  """The fold of every example, int64 [N]; read once, as files do not change."""
  source = reading.undecoded_examples(reading.open_folder(folder), split)
  fold = lambda position: int(source[position]['fold'])
  return np.array(list(threads.ordered_map(fold, range(len(source)))))


def cars_of(
  source_split: Sequence[Mapping[str, Any]],
  positions: Iterable[int] | None = None,
) -> dict[str, list[int]]:
  """Car id -> positions of its views, sorted by view.

  Cars come in the order of their first examples.

  Args:
    source_split: a split that can be read at any position
      (`as_data_source`). Skip the decoding of images.
    positions: of the examples that are wanted; None: all.
  """

  def label(position: int) -> tuple[str, int, int]:
    example = source_split[position]
    return example['car_id'].decode(), int(example['view']), position

  views = collections.defaultdict(list)
  if positions is None:
    positions = range(len(source_split))
  for car_id, view, position in threads.ordered_map(label, map(int, positions)):
    views[car_id].append((view, position))
  return {
    car_id: [position for _, position in sorted(pairs)]
    for car_id, pairs in views.items()
  }
