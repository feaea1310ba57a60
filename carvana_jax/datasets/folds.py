"""Chooses the examples to train on and to validate on, by the cars' folds."""

import collections
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import reading, spec
from carvana_jax.datasets.names import group_word, is_own
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

# The folds whose cars the prepared data sets hold in their split validation.
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
  """Selects the examples that a run means by the name of a split.

  For the folds that the data set itself has set apart, nothing is read. For
  others, the records of train and validation are read once in a process, and no
  picture is decoded.

  Args:
    builder: the prepared data set, of any size.
    split: train, validation, test, or all (every labelled example).
    validation_folds: `config.data.validation_folds`, the folds to validate on;
      cars of the others, but for the test split's, are trained on.

  Returns:
    The examples in the order in which they are stored.

  Raises:
    UserError: there are none.
  """
  there = [name for name in builder.info.splits if name != 'unlabeled']
  moved = split in _MOVABLE and tuple(validation_folds) != DEFAULT
  names = [x for x in there if split in ('all', x) or (moved and x in _MOVABLE)]
  joined = '+'.join(names)
  count = sum(builder.info.splits[name].num_examples for name in names)
  positions = np.arange(count)
  if moved and names:
    folds = _folds(builder.data_path, joined)
    chosen = np.isin(folds, validation_folds) == (split == 'validation')
    positions = np.flatnonzero(chosen & (folds != spec.TEST_FOLD))
  if not len(positions):
    wanted = ', '.join(map(str, validation_folds))
    word = group_word(builder.name)
    ids = 'names' if is_own(builder.name) else 'ids'
    raise UserError(
      f'{builder.info.full_name} has no {word} in its {split} split'
      f'{f" with the folds {wanted} for validation" if moved else ""}, which '
      f"follows from the {word}s' {ids}; it has {', '.join(there)}: add "
      f'{word}s to the folder{_other_folds(builder, split)}.'
    )
  return Selection(joined, positions)


def _other_folds(builder, split):
  """Says which folds can be validated on, where there are some."""
  present = folds_with_cars(builder)
  if split != 'validation' or len(present) < 2:
    return ''
  named = ', '.join(map(str, present))
  return (
    f', or set config.data.validation_folds=({present[-1]},), as there are '
    f'{group_word(builder.name)}s in the folds {named}'
  )


def folds_with_cars(builder: tfds.core.DatasetBuilder) -> list[int]:
  """Returns the folds that have a car, in their order, without the test's."""
  names = [name for name in _MOVABLE if name in builder.info.splits]
  if not names:
    return []
  folds = np.unique(_folds(builder.data_path, '+'.join(names))).tolist()
  return [fold for fold in folds if fold != spec.TEST_FOLD]


def cars_of(
  source_split: Sequence[Mapping[str, Any]],
  positions: Iterable[int] | None = None,
) -> dict[str, list[int]]:
  """Groups examples by their cars.

  Args:
    source_split: a split that can be read at any position
      (`as_data_source`). Skip the decoding of images.
    positions: the positions of the examples that are wanted; None: all.

  Returns:
    {car id: the positions of its views, sorted by view}, cars in the order of
    their first examples.
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


@functools.cache
def _folds(folder: pathlib.Path, split: str) -> np.ndarray:
  """Reads the folds of examples, int64 [N]; once, as files do not change."""
  source = reading.undecoded_examples(reading.open_folder(folder), split)
  fold = lambda position: int(source[position]['fold'])
  return np.array(list(threads.ordered_map(fold, range(len(source)))))
