"""Which examples of a split show the same car."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carvana_jax.system import threads


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
