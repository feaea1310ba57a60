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

from carvana_jax.datasets.folder.items import Item
from carvana_jax.system import names_in_messages
from carvana_jax.system.errors import UserError

BY_PHOTO, BY_FOLDER = 'photo', 'folder'  # values of `config.data.groups`

# A running number at the end of a name; longer ones are dates and ids.
_NUMBER = re.compile(r'(?P<stem>.*?)[ _.\-]*\(?(?P<number>\d{1,4})\)?')
_LAST_WORD = re.compile(r'(?P<stem>.+)[ _.\-]+[^ _.\-]+')
# What Roboflow adds to the name of each copy of a photo.
_COPY = re.compile(r'_(jpe?g|png|webp)\.rf\.[0-9A-Za-z]+$', re.IGNORECASE)

_FEWEST = 3  # groups of a guess: there are as many splits
_MOST_PHOTOS = 100  # of the median group of a guess; more are of a class
_REMEDY = (
  f'set config.data.groups={BY_PHOTO} if each shows another, or to a regular '
  "expression of what one object's photos have in common, such as '(.*)_'"
)


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
      tell, 'photo', 'folder', or a regular expression whose first group, or all
      that it matches, names the object.

  Returns:
    A label for each photo. `view` is the number at the end of its name where
    the photos of the object have different ones from 1 on, else its place among
    their names.

  Raises:
    UserError: it can't be told, or the expression does not fit the names.
  """
  if pattern:
    keys, how = _keys_of(items, pattern), f'by {pattern}'
  elif any(item.group for item in items):
    keys, how = _keys_of_table(items), 'by the table'
  else:
    keys, how = _guess(items)
  views = _views(items, keys)
  labels = [Label(*pair) for pair in zip(keys, views, strict=True)]
  labelled = [key for key, item in zip(keys, items, strict=True) if item.mask]
  return Grouped(labels, _text(labelled, how))


def _keys_of(items, pattern):
  """Returns the group of each photo, as the user wants it."""
  if pattern == BY_PHOTO:
    return [_path(item).as_posix() for item in items]
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


def _keys_of_table(items):
  lacking = [x.name for x in items if x.mask and not x.group]
  if lacking:
    raise UserError(
      f'the table names no group of {names_in_messages.some(lacking)}; fill in '
      'the column for all, or for none.'
    )
  return [item.group or _path(item).as_posix() for item in items]


def _guess(items):
  """Returns the groups of the first way that gives plausible ones, and how."""
  ways = (
    (_without_number, 'by names'),
    (_without_last_word, 'by names without their last word'),
    (lambda path: path.parent.as_posix(), 'by folders'),
  )
  for way, how in ways:
    keys = [_tidy(way(_path(item))) for item in items]
    labelled = [key for key, x in zip(keys, items, strict=True) if x.mask]
    if _is_plausible(labelled):
      return keys, how
  own = {item.split for item in items if item.mask}
  if None not in own and len(own) == _FEWEST:
    # Nothing is split here, so nothing can go wrong but what was wrong before.
    keys = [_path(item).as_posix() for item in items]
    return keys, 'as names do not tell what shows one object, a group each'
  names = names_in_messages.some(x.name for x in items if x.mask)
  raise UserError(
    f'names such as {names} do not tell which photos show one object, as all '
    f'of these must be in one split: {_REMEDY}.'
  )


def _is_plausible(keys: Sequence[str]) -> bool:
  sizes = collections.Counter(keys).values()
  together = sum(size for size in sizes if size > 1)
  return (
    len(sizes) >= _FEWEST
    and 2 * together >= len(keys)
    and statistics.median(sizes) <= _MOST_PHOTOS
  )


def _path(item: Item) -> pathlib.PurePosixPath:
  """Returns a photo's path without its ending."""
  return pathlib.PurePosixPath(item.name).with_suffix('')


def _without_number(path: pathlib.PurePosixPath) -> str:
  stem = _COPY.sub('', path.name)
  match = _NUMBER.fullmatch(stem)
  return f'{path.parent}/{match["stem"] if match else stem}'


def _without_last_word(path: pathlib.PurePosixPath) -> str:
  stem = _COPY.sub('', path.name)
  match = _LAST_WORD.fullmatch(stem)
  return f'{path.parent}/{match["stem"] if match else stem}'


def _tidy(key: str) -> str:
  return key.removeprefix('./').rstrip('/') or '.'


def _views(items: Sequence[Item], keys: Sequence[str]) -> list[int]:
  """Returns a number for each photo, see `assign`."""
  members = collections.defaultdict(list)
  for position, key in enumerate(keys):
    members[key].append(position)
  views = [0] * len(items)
  for positions in members.values():
    numbers = [_number(_path(items[x]).name) for x in positions]
    if min(numbers) < 1 or len(set(numbers)) < len(numbers):
      numbers = range(1, len(positions) + 1)
    for position, number in zip(positions, numbers, strict=True):
      views[position] = number
  return views


def _number(stem: str) -> int:
  match = _NUMBER.fullmatch(_COPY.sub('', stem))
  return int(match['number']) if match else 0


def _text(keys: Sequence[str], how: str) -> str:
  sizes = collections.Counter(keys)
  count = names_in_messages.counted(len(sizes), 'group')
  low, high = min(sizes.values()), max(sizes.values())
  each = names_in_messages.counted(high, 'photo')
  if low < high:
    middle = statistics.median(sizes.values())
    each = f'{low} to {each}, {middle:g} in the middle,'
  examples = ', '.join(
    names_in_messages.printable(x) for x in sorted(sizes)[:2]
  )
  return f'{count} of {each} {how} ({examples}); config.data.groups sets others'
