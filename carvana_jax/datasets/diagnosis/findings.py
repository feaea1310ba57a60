"""From the facts to what is wrong, or worth a look."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import verify
from carvana_jax.datasets.carvana.file_listing import File
from carvana_jax.datasets.diagnosis import duplicates, mask_outliers
from carvana_jax.datasets.diagnosis.file_facts import (
  Facts,
  MaskFacts,
  PhotoFacts,
)
from carvana_jax.datasets.diagnosis.pairs import Collection, Pair

WRONG = 'wrong'  # training on it would be wrong
LOOK = 'look'  # a person should look at it

_EMPTY, _FULL = 0.001, 0.999  # of the picture
_REPLACE = 'download it again, or remove photo and mask'
_CORRECT = 'look at the mask; correct it, or remove photo and mask'


class Finding(NamedTuple):
  """Something about a pair."""

  pair: Pair
  file: str
  value: str
  expected: str
  remedy: str
  deviation: float = 1.0  # in units of what is tolerated
  other: Pair | None = None  # that it was compared with


class Check(NamedTuple):
  """What a check found."""

  name: str
  severity: str  # WRONG or LOOK
  examined: str  # how many of what
  findings: list[Finding]  # the largest deviation first


def diagnose(facts: Sequence[Facts], collection: Collection) -> list[Check]:
  """All checks of a data set, in the order of their table.

  Args:
    facts: of the collection's pairs, one or more.
    collection: the pairs, and what holds for all of them.
  """
  photos = sum(isinstance(x.photo, PhotoFacts) for x in facts)
  masks = sum(isinstance(x.mask, MaskFacts) for x in facts)
  files = sum((x.photo is not None) + (x.mask is not None) for x in facts)
  cars = len({x.pair.car_id for x in facts})
  exact = list(_equal_photos(facts))
  near = list(_near(facts))
  leaks = [*_split_cars(facts), *filter(_crosses, [*exact, *near])]
  doubles = [*_within(exact), *_equal_masks(facts)]
  odd_areas, areas = _odd(
    facts, mask_outliers.outliers, 'that view of other cars'
  )
  odd_views, views = _odd(
    facts, mask_outliers.disagreeing, 'the views beside it'
  )
  size, kind = collection.photo_size, collection.photo_kind
  found = (
    ('photo or mask missing', WRONG, f'{len(facts)} pairs', _unpaired(facts)),
    ('unreadable', WRONG, f'{files} files', _unreadable(facts)),
    ('size', WRONG, f'{photos + masks} files', _sizes(facts, size)),
    ('mode', WRONG, f'{photos + masks} files', _modes(facts, kind)),
    ('mask values', WRONG, f'{masks} masks', _values(facts)),
    ('empty or full mask', WRONG, f'{masks} masks', _extremes(facts)),
    ('exact duplicate', WRONG, f'{photos + masks} files', doubles),
    ('split leakage', WRONG, f'{cars} cars', leaks),
    ('near duplicate', LOOK, f'{photos} photos', _within(near)),
    ('missing views', LOOK, f'{cars} cars', _incomplete(facts)),
    ('mask area', LOOK, f'{areas} masks', odd_areas),
    ('neighbouring views', LOOK, f'{views} masks', odd_views),
  )
  return [
    Check(name, severity, examined, sorted(findings, key=_least))
    for name, severity, examined, findings in found
  ]


def _least(finding):
  return -finding.deviation


def _crosses(finding):
  return finding.pair.split != finding.other.split


def _within(findings):
  return [finding for finding in findings if not _crosses(finding)]


# The files, one by one.


def _unpaired(facts: Sequence[Facts]) -> Iterator[Finding]:
  for pair, photo, mask in facts:
    name = spec.photo_name(pair.car_id, pair.view)
    if mask is None:
      remedy = 'add the mask or remove the photo'
      yield Finding(pair, str(pair), 'no mask', f'{name}_mask.gif', remedy)
    if photo is None:
      remedy = 'add the photo or remove the mask'
      yield Finding(pair, str(pair), 'no photo', f'{name}.jpg', remedy)


def _unreadable(facts: Sequence[Facts]) -> Iterator[Finding]:
  for pair, *contents in facts:
    for file, content in zip((pair.photo, pair.mask), contents, strict=True):
      if isinstance(content, str):
        yield Finding(pair, str(file), content, 'a whole image', _REPLACE)


def _sizes(
  facts: Sequence[Facts], expected: tuple[int, int]
) -> Iterator[Finding]:
  for pair, file, content in _readable(facts):
    if content.size != expected:
      sizes = _size(content.size), _size(expected)
      yield Finding(pair, str(file), *sizes, _REPLACE)


def _size(size):
  height, width = size
  return f'{height} high and {width} wide'


def _modes(facts: Sequence[Facts], photo_kind: str) -> Iterator[Finding]:
  for pair, file, content in _readable(facts):
    if isinstance(content, PhotoFacts) and content.kind != photo_kind:
      yield Finding(pair, str(file), content.kind, photo_kind, _REPLACE)
    if isinstance(content, MaskFacts) and content.mode not in verify.MASK_MODES:
      expected = 'one channel of 8 bits'
      yield Finding(pair, str(file), content.mode, expected, _REPLACE)


def _values(facts: Sequence[Facts]) -> Iterator[Finding]:
  expected = '0 and 1, or 0 and 255'
  for x in facts:
    if (
      isinstance(x.mask, MaskFacts)
      and x.mask.mode in verify.MASK_MODES
      and x.mask.area is None
    ):
      file = str(x.pair.mask)
      yield Finding(x.pair, file, 'other values', expected, _REPLACE)


def _extremes(facts: Sequence[Facts]) -> Iterator[Finding]:
  for pair, file, content in _readable(facts):
    if _is_extreme(content):
      value = 'full' if content.area > _FULL else 'empty'
      yield Finding(
        pair, str(file), f'{value}: {content.area:.2%} car', 'a car', _CORRECT
      )


def _is_extreme(content):
  return (
    isinstance(content, MaskFacts)
    and content.area is not None
    and not _EMPTY <= content.area <= _FULL
  )


def _readable(
  facts: Sequence[Facts],
) -> Iterator[tuple[Pair, File, PhotoFacts | MaskFacts]]:
  for pair, photo, mask in facts:
    if isinstance(photo, PhotoFacts):
      yield pair, pair.photo, photo
    if isinstance(mask, MaskFacts):
      yield pair, pair.mask, mask


# Files compared with each other.


def _equal_photos(facts: Sequence[Facts]) -> Iterator[Finding]:
  for first, later in duplicates.equal([_digest(x.photo) for x in facts]):
    pair, other = facts[later].pair, facts[first].pair
    yield Finding(
      pair,
      str(pair.photo),
      f'the same file as {other.photo}',
      'another photo',
      'remove one of them, with its mask',
      other=other,
    )


def _equal_masks(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Equal masks of photos that are not, be it in different splits."""
  digests = [None if _is_extreme(x.mask) else _digest(x.mask) for x in facts]
  for first, later in duplicates.equal(digests):
    photo = _digest(facts[later].photo)
    if photo is not None and photo == _digest(facts[first].photo):
      continue
    pair, other = facts[later].pair, facts[first].pair
    yield Finding(
      pair,
      str(pair.mask),
      f'the same pixels as {other.mask}',
      'a mask of its own photo',
      'look at both; remove the wrong mask, with its photo',
      other=other,
    )


def _digest(content):
  return content.digest if isinstance(content, PhotoFacts | MaskFacts) else None


def _near(facts: Sequence[Facts]) -> Iterator[Finding]:
  read = [x for x in facts if isinstance(x.photo, PhotoFacts)]
  if not read:
    return
  thumbnails = np.stack([x.photo.thumbnail for x in read])
  named = set()
  for first, later, distance, mirrored in duplicates.near(thumbnails):
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


def _split_cars(facts: Sequence[Facts]) -> Iterator[Finding]:
  for car in _cars(facts):
    splits = {pair.split: pair for pair in reversed(car)}
    if len(splits) > 1:
      first, other, *_ = splits.values()
      yield Finding(
        first,
        first.car_id,
        f'in {" and ".join(sorted(splits))}',
        'one split a car',
        'prepare the data again, with splits by car',
        other=other,
      )


def _incomplete(facts: Sequence[Facts]) -> Iterator[Finding]:
  for car in _cars(facts):
    views = {pair.view for pair in car}
    missing = sorted(set(range(1, spec.VIEWS + 1)) - views)
    if missing:
      yield Finding(
        car[0],
        car[0].car_id,
        f'no view {", ".join(map(str, missing))}',
        f'{spec.VIEWS} views',
        'add them if you can; training does without',
      )


def _cars(facts):
  """The pairs of each car."""
  cars = collections.defaultdict(list)
  for x in facts:
    cars[x.pair.car_id].append(x.pair)
  return cars.values()


def _odd(
  facts: Sequence[Facts],
  find: Callable[
    [Sequence[mask_outliers.Shape]], tuple[list[mask_outliers.Oddity], int]
  ],
  reference: str,
) -> tuple[list[Finding], int]:
  """The findings of a comparison of masks, and how many it compared."""
  sound = [
    x
    for x in facts
    if isinstance(x.mask, MaskFacts) and x.mask.area and not _is_extreme(x.mask)
  ]
  oddities, count = find(
    [
      mask_outliers.Shape(x.pair.car_id, x.pair.view, x.mask.area, x.mask.box)
      for x in sound
    ]
  )
  findings = []
  for oddity in oddities:
    pair, _, mask = sound[oddity.position]
    finding = Finding(
      pair,
      str(pair.mask),
      _measure(oddity.measure, oddity.value, mask.size),
      f'{_measure(oddity.measure, oddity.expected, mask.size)}, as {reference}',
      _CORRECT,
      oddity.deviation,
    )
    findings.append(finding)
  return findings, count


def _measure(name, value, size):
  if name == 'area':
    return f'area {value:.1%}'
  pixels = value * size[name in ('from the left', 'width')]
  if name in ('height', 'width'):
    return f'{name} {pixels:.0f} px'
  return f'middle {pixels:.0f} px {name}'
