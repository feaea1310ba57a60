"""Chooses the examples of a run's splits, as its config has these."""

import collections
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import chosen_splits, labels, spec
from carvana_jax.datasets.chosen_splits import STORED, Splits
from carvana_jax.datasets.names import group_word, is_own
from carvana_jax.system import names_in_messages, threads
from carvana_jax.system.errors import UserError

_MOVABLE = ('train', 'validation')  # by folds the test split stays as it is
_SPLITS = (*_MOVABLE, 'test')


class Selection(NamedTuple):
  """Examples of a prepared data set."""

  split: str  # as TFDS names it: one split, or several joined by +
  positions: np.ndarray  # int64 [N], of the examples in it
  # int64 [M], of the other views of these cars, where photos are split.
  others: np.ndarray = np.zeros(0, np.int64)

  def all_views(self) -> np.ndarray:
    """Returns the positions of all views of the cars, as they are stored."""
    return np.sort(np.append(self.positions, self.others))


def select(
  builder: tfds.core.DatasetBuilder, split: str, splits: Splits = STORED
) -> Selection:
  """Selects the examples that a run means by the name of a split.

  For the splits that the data set itself has set apart, nothing is read. For
  others, labels are read, and no picture is decoded.

  Args:
    builder: the prepared data set, of any size.
    split: train, validation, test, or all (every labelled example).
    splits: how the run splits its photos, see `chosen_splits.of`.

  Returns:
    The examples in the order in which they are stored.

  Raises:
    UserError: there are none, or fewer than the splits ask for.
  """
  there = _labelled(builder)
  if split != 'all' and (splits.shares or splits.first):
    return _select_chosen(builder, split, splits, there)
  moved = split in _MOVABLE and splits != STORED
  names = [x for x in there if split in ('all', x) or (moved and x in _MOVABLE)]
  count = sum(builder.info.splits[name].num_examples for name in names)
  positions = np.arange(count)
  if moved and names:
    folds = labels.of(builder, names).fold
    chosen = np.isin(folds, splits.validation_folds) == (split == 'validation')
    positions = np.flatnonzero(chosen & (folds != spec.TEST_FOLD))
  if not len(positions):
    wanted = ', '.join(map(str, splits.validation_folds))
    word = group_word(builder.name)
    ids = 'names' if is_own(builder.name) else 'ids'
    raise UserError(
      f'{builder.info.full_name} has no {word} in its {split} split'
      f'{f" with the folds {wanted} for validation" if moved else ""}, which '
      f"follows from the {word}s' {ids}; it has {', '.join(there)}: add "
      f'{word}s to the folder{_other_folds(builder, split)}.'
    )
  return Selection('+'.join(names), positions)


def _select_chosen(builder, split, splits, there):
  """As `select`, by shares or of the first photos."""
  found = labels.of(builder, there)
  assigned = chosen_splits.assign(found, splits, builder.name)
  is_own_split = assigned == split
  positions = np.flatnonzero(is_own_split)
  if not len(positions):  # by folds
    word = group_word(builder.name)
    raise UserError(
      f'none of the first {splits.first} {word}s of {builder.info.full_name} '
      f'is in its {split} split; set config.data.first to more, or '
      'config.data.split_shares.'
    )
  is_car = np.isin(found.car_id, found.car_id[positions])
  others = np.zeros(0, np.int64)
  if splits.by == 'photo':
    others = np.flatnonzero(is_car & ~is_own_split)
  return Selection('+'.join(there), positions, others)


def describe(builder: tfds.core.DatasetBuilder, splits: Splits = STORED) -> str:
  """Returns lines that say how many photos and cars are in each split.

  Args:
    builder: the prepared data set.
    splits: how they are split.

  Raises:
    UserError: as for `select`.
  """
  photo = 'tile' if 'coarse' in builder.info.features else 'photo'
  word = group_word(builder.name)
  counted, texts, cars = names_in_messages.counted, [], []
  for split in _SPLITS:
    part = select(builder, split, splits)
    found = labels.of(builder, part.split.split('+')).at(part.positions)
    cars.append(set(found.car_id.tolist()))
    numbers = (
      counted(len(part.positions), photo),
      counted(len(cars[-1]), word),
    )
    if texts:  # the words have been said
      numbers = (len(part.positions), len(cars[-1]))
    texts.append(f'{split} {numbers[0]} of {numbers[1]}')
  lines = [', '.join(texts)]
  if splits.shares or splits.first:
    lines.append(f'split {splits.text(builder.name)}')
  times = collections.Counter(itertools.chain(*cars))
  shared = sum(count > 1 for count in times.values())
  if shared:
    lines.append(
      f'warning   views of {counted(shared, word)} are in more than one '
      'split, so scores are too high'
    )
  return '\n'.join(lines)


def _labelled(builder):
  return [name for name in builder.info.splits if name != 'unlabeled']


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
  folds = np.unique(labels.of(builder, names).fold).tolist()
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
