"""Stand-in."""

from typing import NamedTuple


class Label(NamedTuple):
  group: str
  view: int


class Grouped(NamedTuple):
  labels: list[Label]
  text: str


def assign(items, pattern):
  labels = []
  seen = {}
  for item in items:
    stem = item.name.rsplit('.', 1)[0]
    group, _, number = stem.rpartition('_')
    group = group or stem
    seen[group] = seen.get(group, 0) + 1
    labels.append(
      Label(group, int(number) if number.isdigit() else seen[group])
    )
  return Grouped(labels, f'{len(seen)} groups by name, such as {min(seen)}')
