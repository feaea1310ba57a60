"""What a data set is made of: photos, cars and views, and what is missing.

It is told from names alone, so that it can be said of files, too, that no data
set can be prepared from.
"""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import reading, spec
from carvana_jax.datasets.carvana import archives
from carvana_jax.datasets.folder import source
from carvana_jax.datasets.names import group_word, is_own
from carvana_jax.system import names_in_messages, threads

UNLABELED = 'unlabeled'
# Of labelled photos that a config neither trains on nor scores.
UNUSED = 'in no split'
_ORDER = ('train', 'validation', 'test', UNUSED, UNLABELED)


class Entry(NamedTuple):
  """A photo with its mask, one of which may be missing."""

  split: str
  car_id: str
  view: int
  name: str  # the feature `filename` of the prepared photo
  photo: int | None  # bytes of the file, None: there is none
  mask: int | None  # bytes of the file, None: there is none


class Inventory(NamedTuple):
  """All of a data set."""

  entries: list[Entry]
  lines: tuple[str, ...]  # what is said of its files, and of those left out


def of_files(data_config: ConfigDict) -> Inventory | None:
  """Lists the files that a data set is prepared from.

  Args:
    data_config: `config.data`. Photos without masks are listed whether it has
      `unlabeled` or not.

  Returns:
    The files; None where there are none, as of the rendered studio.

  Raises:
    UserError: the files cannot be found or read, or it is not clear which
      photos show one object.
  """
  if data_config.dataset == 'studio':
    return None
  if data_config.dataset == 'carvana':
    return _of_challenge(data_config)
  with_all = data_config.copy_and_resolve_references()
  with_all.unlabeled = True
  items, labels, places, lines = source.find(with_all)
  size = lambda file: file.size if file else None
  return Inventory(
    [
      Entry(place.split, *label, item.name, size(item.photo), size(item.mask))
      for item, label, place in zip(items, labels, places, strict=True)
    ],
    lines,
  )


def _of_challenge(data_config: ConfigDict) -> Inventory:
  root = pathlib.Path(data_config.data_dir)
  folder = pathlib.Path(data_config.manual_dir or root / 'manual')
  found = archives.find(folder, unlabeled=True)
  size = lambda files, stem: files[stem].size if stem in files else None
  entries = []
  for stem in sorted(found.photos.keys() | found.masks.keys()):
    car_id, view = spec.parse_photo(stem)
    sizes = size(found.photos, stem), size(found.masks, stem)
    entries.append(
      Entry(spec.split_of(car_id), car_id, view, f'{stem}.jpg', *sizes)
    )
  for stem, file in sorted(found.test.items()):
    label = spec.parse_photo(stem)
    entries.append(Entry(UNLABELED, *label, f'{stem}.jpg', file.size, None))
  return Inventory(entries, found.left_out)


def of_prepared(builder: tfds.core.DatasetBuilder) -> Inventory:
  """Lists the examples of a prepared data set, in its own splits.

  Args:
    builder: the data set.
  """

  def entry(place: tuple[str, int]) -> Entry:
    split, position = place
    example = sources[split][position]
    return Entry(
      split,
      example['car_id'].decode(),
      int(example['view']),
      example['filename'].decode(),
      len(example['image']),
      None if split == UNLABELED else len(example['mask']),
    )

  sources = {
    split: reading.undecoded_examples(builder, split)
    for split in builder.info.splits
  }
  places = [(x, i) for x, rows in sources.items() for i in range(len(rows))]
  return Inventory(list(threads.ordered_map(entry, places)), ())


def with_splits(
  entries: Sequence[Entry], splits: Mapping[str, str]
) -> list[Entry]:
  """Returns entries in the splits that a config makes.

  Args:
    entries: of a data set.
    splits: of the labelled photos that are in one, by the entry's name.
  """
  return [
    x if x.split == UNLABELED else x._replace(split=splits.get(x.name, UNUSED))
    for x in entries
  ]


def table(entries: Sequence[Entry], dataset: str) -> list[dict[str, Any]]:
  """Counts the photos of each split, and of all together.

  Args:
    entries: of the data set, one or more.
    dataset: its name.

  Returns:
    {column: value} of each row: photos, cars, views of a car, cars that have
    all views, and photos and masks without the other.
  """
  word = group_word(dataset)
  most = _all_views(entries, dataset)
  by_split = collections.defaultdict(list)
  for x in entries:
    by_split[x.split].append(x)
  groups = [(x, by_split[x]) for x in _ORDER if x in by_split]
  rows = []
  for split, found in [*groups, ('all', entries)]:
    views = collections.Counter(x.car_id for x in found)
    least, largest = min(views.values()), max(views.values())
    row = {
      'split': split,
      'photos': sum(x.photo is not None for x in found),
      f'{word}s': len(views),
      'views': str(least) if least == largest else f'{least} to {largest}',
    }
    if most:
      row['with all'] = sum(count >= most for count in views.values())
    row['without mask'] = sum(x.mask is None for x in found)
    row['without photo'] = sum(x.photo is None for x in found)
    rows.append(row)
  return rows


def missing(entries: Sequence[Entry], dataset: str) -> list[str]:
  """Names what is incomplete, in a sentence of each kind.

  Args:
    entries: of the data set.
    dataset: its name.
  """
  sentences = []
  # Photos of one's own were all meant to have a mask.
  meant = lambda x: x.split != UNLABELED or is_own(dataset)
  names = [x.name for x in entries if x.mask is None and meant(x)]
  if names:
    sentences.append(f'without mask: {names_in_messages.named(names)}')
  names = [x.name for x in entries if x.photo is None]
  if names:
    named = names_in_messages.named(names, 'mask')
    sentences.append(f'without photo: {named}')
  views = collections.defaultdict(set)
  for x in entries:
    views[x.car_id].add(x.view)
  most = _all_views(entries, dataset)
  cars = []
  for car_id, there in views.items():
    lacking = [str(x) for x in range(1, most + 1) if x not in there]
    if lacking:
      cars.append(f'{car_id} lacks {_shortened(lacking)}')
  if cars:
    counted = names_in_messages.counted(len(cars), group_word(dataset))
    some = names_in_messages.some(cars)
    sentences.append(f'not all of {most} views: {counted} ({some})')
  return sentences


def _all_views(entries: Sequence[Entry], dataset: str) -> int:
  """Returns how many views a car should have, 0 where that is not clear.

  Of own photos these are as many as most groups have.
  """
  if not is_own(dataset):
    return spec.VIEWS
  views = collections.Counter(x.car_id for x in entries)
  (count, cars), *_ = collections.Counter(views.values()).most_common(1)
  return count if count > 1 and 2 * cars > len(views) else 0


def _shortened(numbers: Sequence[str]) -> str:
  """Returns numbers in a line, many of them by the first and the last."""
  if len(numbers) < 4:
    return ', '.join(numbers)
  return f'{len(numbers)} views from {numbers[0]} to {numbers[-1]}'
