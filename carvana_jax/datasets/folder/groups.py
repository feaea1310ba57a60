"""Which photos show one object, so that these go to one split.

The names of photos tell it where those of an object have a stem in common, as
in shoe-12_03.jpg or shoe-12/side.jpg. Where they don't, nothing is guessed.
"""

import collections
import pathlib
import re
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from carvana_jax.datasets.folder import group_names
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system import names_in_messages
from carvana_jax.system.errors import UserError

# Values of `config.data.groups`; the last is for scoring alone, with all photos
# in the test split.
BY_PHOTO, BY_FOLDER, UNSPLIT = 'photo', 'folder', 'unsplit'

_NAMELESS = 'other photos'  # the group of those whose names name no object
_LAST_VIEW = 9999  # larger numbers are dates and counters
_REMEDY = (
  f'set config.data.groups={BY_PHOTO} if each shows another object, to '
  f'{BY_FOLDER} if those of a folder show one, or to a regular expression '
  "whose first group names it, such as '(.*)_'"
)


class UnclearError(UserError):
  """It is unclear how photos are split, which matters only where they are."""


class Label(NamedTuple):
  """What a photo shows."""

  group: str  # the same for all photos of an object
  view: int  # from 1 on, different for all photos of an object


class Grouped(NamedTuple):
  """The labels of photos, and what is said of them."""

  labels: list[Label]
  text: str


def assign(items: Sequence[Item], pattern: str) -> Grouped:
  """Tells which photos show one object.

  Args:
    items: the photos, sorted by name; of those without a mask nothing is
      concluded.
    pattern: `config.data.groups`: '' for what a table says, or else the names
      tell, 'photo', 'folder', 'unsplit' for '' where that is clear and 'photo'
      where it is not, or a regular expression whose first group, or all that it
      matches, names the object.

  Returns:
    A label for each photo. `view` is the number at the end of its name where
    the photos of the object have different ones from 1 on, else its place among
    their names.

  Raises:
    UserError: it can't be told, which is an `UnclearError`, or the expression
      does not fit the names.
  """
  if pattern == UNSPLIT:
    keys, how = _as_far_as_clear(items)
  elif pattern:
    keys, how = _keys_of(items, pattern), f'by {pattern}'
  else:
    keys, how = _told(items)
  views = _views(items, keys)
  labels = [Label(*pair) for pair in zip(keys, views, strict=True)]
  labelled = [key for key, item in zip(keys, items, strict=True) if item.mask]
  return Grouped(labels, _text(labelled, how))


def _keys_of(items, pattern):
  """Returns the group of each photo, as the user wants it."""
  if pattern == BY_PHOTO:
    # The copies that augmentation has made of a photo stay with it.
    return [group_names.without_copy(_path(item)) for item in items]
  if pattern == BY_FOLDER:
    keys = [_path(item).parent.as_posix() for item in items]
    if len(set(keys)) == 1:
      raise UserError(
        f'config.data.groups={BY_FOLDER} needs photos in several folders, but '
        f'all are in one; {_REMEDY}.'
      )
    return keys
  try:
    expression = re.compile(pattern)
  except re.error as error:
    raise UserError(
      f'config.data.groups={pattern!r} is no regular expression ({error}); '
      "give one such as '(.*)_'."
    ) from error
  found = [expression.search(item.name) for item in items]
  keys = [match and match[min(1, expression.groups)] for match in found]
  if rest := [x.name for x, key in zip(items, keys, strict=True) if not key]:
    count = names_in_messages.counted(len(rest), 'name')
    raise UserError(
      f'config.data.groups={pattern!r} finds nothing in {count} '
      f'({names_in_messages.some(rest)}); change it so that it fits all.'
    )
  return keys


def _as_far_as_clear(items):
  try:
    return _told(items)
  except UnclearError:
    return _keys_of(items, BY_PHOTO), f'by {BY_PHOTO}'


def _told(items):
  """Returns the groups that a table or else names tell, and how."""
  if any(item.group for item in items):
    return _keys_of_table(items), 'by the table'
  return _guess(items)


def _keys_of_table(items):
  lacking = [x.name for x in items if x.mask and not x.group]
  if lacking:
    raise UnclearError(
      f'the table names no group of {names_in_messages.some(lacking)}; fill in '
      'the column for all, or for none.'
    )
  return [item.group or _path(item).as_posix() for item in items]


def _guess(items):
  """Returns the groups that names tell, and how."""
  paths = [_path(item) for item in items]
  doubt = 'do not tell which photos show one object'
  try:
    found = group_names.guess(paths, [bool(item.mask) for item in items])
  except group_names.DoubtError as error:
    found, doubt = None, f'can be read in two ways: {error}'
  if found:
    return [key or _NAMELESS for key in found.keys], found.how
  labelled = [item for item in items if item.mask]
  own = {item.split for item in labelled}
  if None not in own and len(own) == group_names.FEWEST:
    # Nothing is split here, so nothing can go wrong but what was wrong before.
    how = 'as names do not tell what shows one object, a group each'
    return [group_names.without_copy(path) for path in paths], how
  names = names_in_messages.some(x.name for x in labelled)
  raise UnclearError(f'names such as {names} {doubt}: {_REMEDY}.')


def _path(item: Item) -> pathlib.PurePosixPath:
  """Returns a photo's path without its ending."""
  return pathlib.PurePosixPath(item.name).with_suffix('')


def _views(items: Sequence[Item], keys: Sequence[str]) -> list[int]:
  """Returns a number for each photo, see `assign`."""
  members = collections.defaultdict(list)
  for position, key in enumerate(keys):
    members[key].append(position)
  views = [0] * len(items)
  for positions in members.values():
    numbers = [group_names.number(_path(items[x]).name) for x in positions]
    is_told = min(numbers) >= 1 and max(numbers) <= _LAST_VIEW
    if not is_told or len(set(numbers)) < len(numbers):
      numbers = range(1, len(positions) + 1)
    for position, number in zip(positions, numbers, strict=True):
      views[position] = number
  return views


def _text(keys: Sequence[str], how: str) -> str:
  sizes = collections.Counter(keys)
  count = names_in_messages.counted(len(sizes), 'group')
  low, high = min(sizes.values()), max(sizes.values())
  each = names_in_messages.counted(high, 'photo')
  if low < high:
    middle = statistics.median(sizes.values())
    each = f'{low} to {each}, {middle:g} in the median,'
  some = [names_in_messages.printable(x) for x in sorted(sizes)[:2]]
  return (
    f'{count} of {each} {how} ({", ".join(some)}, …); set config.data.groups '
    'if photos of one object are in two'
  )
