"""The values of a folder's masks by the names that users know them by."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from carvana_jax.datasets.folder import mask_files
from carvana_jax.datasets.folder.mask_files import COLOUR, GREY
from carvana_jax.system.errors import UserError

FIELD = 'data.object_values'
_LISTED = 8


class Known(NamedTuple):
  """The values of all masks.

  Attributes:
    counts: pixels by the keys of `mask_files`.
    indexes: the keys that an index stands for in palettes.
  """

  counts: Mapping[int, int]
  indexes: Mapping[int, Collection[int]]


def name(known: Known, key: int) -> str:
  """Returns a value's name: a number, a colour, or both for a palette's."""
  colour = mask_files.colour_of(key)
  code = colour and '#' + bytes(colour).hex()
  for index, keys in known.indexes.items():
    if set(keys) == {key}:
      return f'{index} ({code})'
  if key >= COLOUR:
    return code
  return str(key if _is_deep(known) else key // GREY)


def listed(known: Known) -> str:
  """Returns the most frequent values with their shares of all pixels."""
  total = sum(known.counts.values())
  frequent = sorted(known.counts, key=lambda key: -known.counts[key])
  shown = [
    f'{name(known, key)} {known.counts[key] / total:.2%}'
    for key in frequent[:_LISTED]
  ]
  more = len(frequent) - _LISTED
  return ', '.join(shown) + (f' … and {more} more' if more > 0 else '')


def parse(known: Known, chosen: str) -> frozenset[int]:
  """Returns the keys of the values that a user names.

  Args:
    known: the values of all masks.
    chosen: numbers and colours such as #ff0000, with commas between.

  Raises:
    UserError: it is anything else, or no mask has such a value.
  """
  return frozenset(
    _parse_one(known, part.strip().lower()) for part in chosen.split(',')
  )


def _parse_one(known: Known, part: str) -> int:
  if re.fullmatch('#[0-9a-f]{6}', part):
    key = mask_files.key_of(bytes.fromhex(part[1:]))
  elif re.fullmatch('[0-9]{1,5}', part):
    key = _key_of_number(known, int(part))
  else:
    raise UserError(
      f'{FIELD}: {part!r} is no value: use numbers or colours such as 1,2 or '
      '#ff0000.'
    )
  if key not in known.counts:
    raise UserError(
      f'{FIELD}: no mask has the value {part}: use some of those that they '
      f'have: {listed(known)}.'
    )
  return key


def _key_of_number(known: Known, number: int) -> int:
  keys = known.indexes.get(number, ())
  if len(keys) > 1:
    raise UserError(
      f'{FIELD}: {number} has several colours in the palettes of masks: name '
      f'colours instead: {listed(known)}.'
    )
  for key in keys:
    return key
  return number if _is_deep(known) else number * GREY


def _is_deep(known: Known) -> bool:
  return any(key % GREY for key in known.counts if key < COLOUR)
