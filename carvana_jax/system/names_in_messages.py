"""Names of files in messages: some of many, short, and in one line."""

from collections.abc import Iterable

_SHOWN = 3  # names of many
# Letters of a name: those in the challenge's big archive have 72.
_LONGEST = 80


def some(names: Iterable[str]) -> str:
  """Returns the first names of many, in their order: a, b, c … and 2 more."""
  names = sorted(names)
  shown = ', '.join(map(printable, names[:_SHOWN]))
  more = len(names) - _SHOWN
  return f'{shown} … and {more} more' if more > 0 else shown


def printable(name: str) -> str:
  """Returns a name as messages show it, a long one without its middle."""
  if len(name) > _LONGEST:
    name = f'{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}'
  # A line break, or letters of another encoding, which can't be printed.
  return name if name.isprintable() else repr(name)


def counted(number: int, unit: str) -> str:
  """Returns a number of things: 1 photo, or 2 photos."""
  return f'{number} {unit}' if number == 1 else f'{number} {unit}s'


def named(names: Iterable[str], unit: str = 'photo') -> str:
  """Returns how many there are, and some: 5 photos (a, b, c … and 2 more)."""
  names = list(names)
  return f'{counted(len(names), unit)} ({some(names)})'
