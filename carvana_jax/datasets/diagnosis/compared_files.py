"""Findings on photos and masks that are compared with others."""

import collections
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from carvana_jax.datasets.diagnosis import (
  duplicates,
  mask_outliers,
  same_studio,
)
from carvana_jax.datasets.diagnosis.file_facts import (
  Facts,
  MaskFacts,
  PhotoFacts,
)
from carvana_jax.datasets.diagnosis.pairs import Pair
from carvana_jax.datasets.diagnosis.single_files import (
  CORRECT,
  Finding,
  is_extreme,
)


def equal_photos(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields the photos that are the same file as an earlier one."""
  for first, later in duplicates.equal([_digest(x.photo) for x in facts]):
    pair, other = facts[later].pair, facts[first].pair
    value = f'the same file as {other.photo}'
    remedy = 'remove one of them, with its mask'
    yield Finding(
      pair, str(pair.photo), value, 'another photo', remedy, other=other
    )


def equal_masks(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields masks equal to an earlier one whose photos are not equal."""
  digests = [None if is_extreme(x.mask) else _digest(x.mask) for x in facts]
  for first, later in duplicates.equal(digests):
    photo = _digest(facts[later].photo)
    if photo is not None and photo == _digest(facts[first].photo):
      continue
    pair, other = facts[later].pair, facts[first].pair
    value = f'the same pixels as {other.mask}'
    expected = 'a mask of its own photo'
    remedy = 'look at both; remove the wrong mask, with its photo'
    yield Finding(pair, str(pair.mask), value, expected, remedy, other=other)


def near_photos(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields the photos that look like an earlier one, mirrored or not."""
  read = [x for x in facts if isinstance(x.photo, PhotoFacts)]
  if not read:
    return
  thumbnails = np.stack([x.photo.thumbnail for x in read])
  named = set()
  colours = np.stack([x.photo.colours for x in read])
  for first, later, distance, mirrored in duplicates.near(thumbnails, colours):
    pair, other = read[later].pair, read[first].pair
    # Among many that are alike, each is named once a split.
    is_equal = read[first].photo.digest == read[later].photo.digest
    if is_equal or (later, other.split) in named:
      continue
    named.add((later, other.split))
    yield Finding(
      pair,
      str(pair.photo),
      f'{"mirrored, " if mirrored else ""}{distance:.1f} levels from '
      f'{other.photo} of {other.split}',
      f'at least {duplicates.NEAR} levels',
      'look at both; if they are one photo, remove one, with its mask',
      2 - distance / duplicates.NEAR,
      other,
    )


def split_cars(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields a finding for each car whose views are in several splits."""
  for car in _cars(facts):
    splits = {pair.split: pair for pair in reversed(car)}
    if len(splits) > 1:
      first, other, *_ = splits.values()
      value = f'in {" and ".join(sorted(splits))}'
      remedy = 'prepare the data again, with splits by car'
      yield Finding(
        first, first.car_id, value, 'one split a car', remedy, other=other
      )


def views_of(facts: Sequence[Facts]) -> int:
  """Returns how many views most groups have, all of them, or 0."""
  groups = _cars(facts)
  last = collections.Counter(
    len(views)
    for group in groups
    if (views := {pair.view for pair in group}) == {*range(1, len(views) + 1)}
  )
  (count, found), *_ = last.most_common(1) or [(0, 0)]
  return count if count > 1 and 2 * found > len(groups) else 0


def incomplete_cars(facts: Sequence[Facts], count: int) -> Iterator[Finding]:
  """Yields a finding for each car that lacks views.

  Args:
    facts: of the pairs.
    count: of the views that each should have.
  """
  for car in _cars(facts):
    views = {pair.view for pair in car}
    missing = [str(x) for x in range(1, count + 1) if x not in views]
    if missing:
      value, expected = f'no view {", ".join(missing)}', f'{count} views'
      remedy = 'add them if you can; training does without'
      yield Finding(car[0], car[0].car_id, value, expected, remedy)


def odd_masks(
  facts: Sequence[Facts],
  find: Callable[
    [Sequence[mask_outliers.Shape], int], tuple[list[mask_outliers.Oddity], int]
  ],
  views: int,
  reference: str,
) -> tuple[list[Finding], int]:
  """Compares masks that are neither empty nor full with each other.

  Args:
    facts: of the pairs.
    find: a function of `mask_outliers`.
    views: of a turn; others are not compared.
    reference: the masks with which it compares each.

  Returns:
    The findings, and how many masks were compared.
  """
  if not views:
    return [], 0
  sound = [
    x
    for x in facts
    if isinstance(x.mask, MaskFacts)
    and x.mask.area
    and not is_extreme(x.mask)
    and x.pair.view <= views
  ]
  oddities, count = find(
    [
      mask_outliers.Shape(x.pair.car_id, x.pair.view, x.mask.area, x.mask.box)
      for x in sound
    ],
    views,
  )
  findings = []
  for oddity in oddities:
    pair, _, mask = sound[oddity.position]
    value = _measure(oddity.measure, oddity.value, mask.size)
    expected = _measure(oddity.measure, oddity.expected, mask.size)
    expected += f', as {reference}'
    file, deviation = str(pair.mask), oddity.deviation
    findings.append(Finding(pair, file, value, expected, CORRECT, deviation))
  return findings, count


def odd_studios(
  facts: Sequence[Facts], wrong: Collection[Pair]
) -> tuple[list[Finding], int]:
  """Finds photos that don't show the studio of their object's other views.

  Args:
    facts: of the pairs.
    wrong: pairs that are left out, as their masks don't tell where the object
      is.

  Returns:
    The findings, and how many photos were compared.
  """
  seen = [
    x
    for x in facts
    if isinstance(x.mask, MaskFacts) and x.mask.view is not None
  ]
  seen = [x for x in seen if x.pair not in wrong]
  found, count = same_studio.odd(
    [x.mask.view for x in seen], [x.pair.car_id for x in seen]
  )
  findings = []
  for position, agreeing, of in found:
    pair = seen[position].pair
    value = 'another studio: the camera has moved, or the light has changed'
    expected = f'the studio that {agreeing} of {of} views show'
    remedy = 'none; it is worked on without the empty studio'
    findings.append(Finding(pair, str(pair.photo), value, expected, remedy))
  return findings, count


def _digest(content):
  return content.digest if isinstance(content, PhotoFacts | MaskFacts) else None


def _cars(facts):
  """Returns a list of pairs for each car."""
  cars = collections.defaultdict(list)
  for x in facts:
    cars[x.pair.car_id].append(x.pair)
  return cars.values()


def _measure(name, value, size):
  if name == 'area':
    return f'area {value:.1%}'
  pixels = value * size[name in ('from the left', 'width')]
  if name in ('height', 'width'):
    return f'{name} {pixels:.0f} px'
  return f'middle {pixels:.0f} px {name}'
