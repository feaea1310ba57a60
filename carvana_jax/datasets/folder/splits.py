"""Which split the photos of a group go to.

By a hash of the group's name, as in the other data sets, unless the folder says
so itself.
"""

import collections
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from carvana_jax.datasets import spec
from carvana_jax.datasets.folder.groups import Label, UnclearError
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system import names_in_messages

_SPLITS = ('train', 'validation', 'test')
# The folds that stand for a split which is not the hash's own.
_FOLDS = {
  'test': (spec.TEST_FOLD,),
  'validation': (spec.VALIDATION_FOLD,),
  'train': tuple(
    sorted(set(range(spec.FOLDS)) - {spec.TEST_FOLD, spec.VALIDATION_FOLD})
  ),
}


class Place(NamedTuple):
  """Where a photo belongs."""

  split: str  # train, validation, test or unlabeled
  fold: int  # 0..9, see `spec.fold_of`


class Assigned(NamedTuple):
  """The places of photos, and what is said of them."""

  places: list[Place]
  text: str


def assign(items: Sequence[Item], labels: Sequence[Label]) -> Assigned:
  """Shares groups among the splits.

  Args:
    items: the photos; those without a mask go to `unlabeled`.
    labels: of the photos, as of `groups.assign`.

  Returns:
    The place of each photo. The folder's own splits are kept; a test or a
    validation split that it lacks is made of its training photos.

  Raises:
    UnclearError: there are fewer than three groups, one is in two of the
      folder's own splits, or only some photos have such a split.
  """
  labelled = [
    (item, label.group)
    for item, label in zip(items, labels, strict=True)
    if item.mask
  ]
  own = _own_splits(labelled)
  groups = dict.fromkeys(group for _, group in labelled)
  if len(groups) < len(_SPLITS):
    raise UnclearError(
      f'there are {names_in_messages.counted(len(groups), "group")} of photos '
      f'with masks, but {len(_SPLITS)} are needed, one for each of '
      f'{", ".join(_SPLITS)}; add photos of other objects, or set '
      'config.data.groups if these show several.'
    )
  places = {group: _place(group, own) for group in groups}
  moved = _fill(places, fixed=own)
  found = [
    places[label.group]
    if item.mask
    else Place('unlabeled', spec.fold_of(label.group))
    for item, label in zip(items, labels, strict=True)
  ]
  return Assigned(found, _text(labelled, places, own, moved))


def all_in_test(items: Sequence[Item], labels: Sequence[Label]) -> Assigned:
  """As `assign`, where photos with a mask are scored and none is trained on."""
  places = [
    Place('test', spec.TEST_FOLD)
    if item.mask
    else Place('unlabeled', spec.fold_of(label.group))
    for item, label in zip(items, labels, strict=True)
  ]
  return Assigned(places, 'all photos with masks are in the split test')


def _own_splits(labelled: Sequence[tuple[Item, str]]) -> dict[str, str]:
  """Returns the folder's own split of each group, {} where it has none."""
  lacking = [item.name for item, _ in labelled if not item.split]
  if len(lacking) == len(labelled):
    return {}
  if lacking:
    raise UnclearError(
      f'no split is named for {names_in_messages.some(lacking)}; name one for '
      'all photos with masks, or for none.'
    )
  first = {}
  for item, group in labelled:
    other = first.setdefault(group, item)
    if other.split != item.split:
      raise UnclearError(
        f'{other.name} of {other.split} and {item.name} of {item.split} show '
        f'one object, {names_in_messages.printable(group)}, by their names; '
        'move one of them, or set config.data.groups if they show two.'
      )
  return {group: item.split for group, item in first.items()}


def _place(group: str, own: dict[str, str]) -> Place:
  split, there = own.get(group), set(own.values())
  if not split:
    return Place(spec.split_of(group), spec.fold_of(group))
  # Made of the training photos where the folder lacks it, by the same hash.
  hashed = spec.split_of(group)
  if split == 'train' and hashed not in there:
    split = hashed
  return _in_split(group, split)


def _in_split(group: str, split: str) -> Place:
  fold, folds = spec.fold_of(group), _FOLDS[split]
  if fold not in folds:
    fold = folds[_digest(group) % len(folds)]
  return Place(split, fold)


def _digest(group: str) -> int:
  digest = hashlib.md5(f'place:{group}'.encode(), usedforsecurity=False)
  return int(digest.hexdigest(), 16)


def _fill(places: dict[str, Place], fixed: dict[str, str]) -> dict[str, str]:
  """Moves a group to each split that has none; returns those it has moved."""
  moved = {}
  for split in _SPLITS:
    members = collections.defaultdict(list)
    for group, place in places.items():
      members[place.split].append(group)
    if members[split]:
      continue
    free = [
      group
      for group, place in places.items()
      if len(members[place.split]) > 1 and fixed.get(group, 'train') == 'train'
    ]
    if not free:
      raise UnclearError(
        f'no group is left for the split {split}; add photos of other objects.'
      )
    # Of the largest split, so that as little as possible is lost there.
    group = min(
      free, key=lambda x: (-len(members[places[x].split]), _digest(x))
    )
    places[group] = _in_split(group, split)
    moved[group] = split
  return moved


def _text(labelled, places, own, moved):
  photos = collections.Counter(places[group].split for _, group in labelled)
  groups = collections.Counter(place.split for place in places.values())
  counts = ', '.join(
    f'{split} {photos[split]} ({groups[split]})' for split in _SPLITS
  )
  text = f'photos (groups) by split: {counts}'
  lacking = [x for x in _SPLITS if own and x not in own.values()]
  if lacking:
    text += f'; {" and ".join(lacking)} made of the photos in train'
  if moved:
    named = ', '.join(
      f'{names_in_messages.printable(group)} to {split}'
      for group, split in moved.items()
    )
    text += f'; few groups: {named}, which may change as groups are added'
  return text
