"""Findings on photos and masks, each looked at alone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import verify
from carvana_jax.datasets.diagnosis.file_facts import (
  Facts,
  MaskFacts,
  PhotoFacts,
)
from carvana_jax.datasets.diagnosis.pairs import CAR, Pair
from carvana_jax.datasets.file_listing import File

_EMPTY, _FULL = 0.001, 0.999  # of the picture

# What to do about a file.
CORRECT = 'look at the mask; correct it, or remove photo and mask'
_REPLACE = 'download it again, or remove photo and mask'


class Finding(NamedTuple):
  """Something about a pair that is wrong, or worth a look."""

  pair: Pair
  file: str
  value: str
  expected: str
  remedy: str
  deviation: float = 1.0  # in units of what is tolerated
  other: Pair | None = None  # that it was compared with


def unpaired(facts: Sequence[Facts], thing: str) -> Iterator[Finding]:
  """Yields the pairs of which a file is missing.

  Args:
    facts: of the pairs.
    thing: what the masks show; of a car, the names of files follow from it.
  """
  for pair, photo, mask in facts:
    name = spec.photo_name(pair.car_id, pair.view)
    missing = f'{name}.jpg' if thing == CAR else 'a photo of that name'
    if mask is None:
      remedy = 'add the mask or remove the photo'
      yield Finding(pair, str(pair), 'no mask', f'{name}_mask.gif', remedy)
    if photo is None:
      remedy = 'add the photo or remove the mask'
      yield Finding(pair, str(pair), 'no photo', missing, remedy)


def unreadable(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields the files that cannot be read to their ends."""
  for pair, *contents in facts:
    for file, content in zip((pair.photo, pair.mask), contents, strict=True):
      if isinstance(content, str):
        yield Finding(pair, str(file), content, 'a whole image', _REPLACE)


def garbled(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields the photos of which decoders have to guess a part."""
  for x in facts:
    if isinstance(x.photo, PhotoFacts) and x.photo.complaint:
      expected = 'no wrong bytes'
      yield Finding(
        x.pair, str(x.pair.photo), x.photo.complaint, expected, _REPLACE
      )


def sizes(
  facts: Sequence[Facts], expected: tuple[int, int] | None
) -> Iterator[Finding]:
  """Yields the files whose size (height, width) is not the expected one.

  Args:
    facts: of the pairs.
    expected: the size; None: masks have that of their photos.
  """
  own = {x.pair: x.photo.size for x in facts if isinstance(x.photo, PhotoFacts)}
  for pair, file, content in _readable(facts):
    wanted = expected or own.get(pair, content.size)
    if content.size != wanted:
      sizes = _size(content.size), _size(wanted)
      yield Finding(pair, str(file), *sizes, _remedy(content))


def modes(facts: Sequence[Facts], photo_kind: str | None) -> Iterator[Finding]:
  """Yields the files whose colours are stored in another way than expected.

  Args:
    facts: of the pairs.
    photo_kind: of all photos; None: any.
  """
  for pair, file, content in _readable(facts):
    if isinstance(content, PhotoFacts) and content.kind != (
      photo_kind or content.kind
    ):
      yield Finding(pair, str(file), content.kind, photo_kind, _REPLACE)
    if isinstance(content, MaskFacts) and content.mode not in verify.MASK_MODES:
      expected = 'one channel of 8 bits'
      yield Finding(pair, str(file), content.mode, expected, _REPLACE)


def values(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields the masks that hold more than background and car."""
  expected = '0 and 1, or 0 and 255'
  for x in facts:
    if isinstance(x.mask, MaskFacts) and x.mask.complaint:
      if isinstance(x.photo, PhotoFacts) and x.photo.size == x.mask.size:
        value, remedy = x.mask.complaint.split(':')[0], _remedy(x.mask)
        wanted = 'a mask of its photo'
        yield Finding(x.pair, str(x.pair.mask), value, wanted, remedy)
      continue
    if (
      isinstance(x.mask, MaskFacts)
      and x.mask.mode in verify.MASK_MODES
      and x.mask.area is None
    ):
      file = str(x.pair.mask)
      yield Finding(x.pair, file, 'other values', expected, _REPLACE)


def extremes(facts: Sequence[Facts], thing: str) -> Iterator[Finding]:
  """Yields the masks that show no object, or nothing else."""
  for pair, file, content in _readable(facts):
    if is_extreme(content):
      value = 'full' if content.area > _FULL else 'empty'
      value += f': {content.area:.2%} {thing}'
      expected = f'{"a" if thing == CAR else "an"} {thing}'
      yield Finding(pair, str(file), value, expected, CORRECT)


def is_extreme(content: PhotoFacts | MaskFacts | str | None) -> bool:
  """Returns whether the facts are those of a mask without car, or all car."""
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


def _remedy(content: PhotoFacts | MaskFacts) -> str:
  """Returns what to do about a file: what its decoder says, where it does."""
  complaint = content.complaint if isinstance(content, MaskFacts) else ''
  return complaint.partition(': ')[2] or _REPLACE


def _size(size):
  height, width = size
  return f'{height} high and {width} wide'
