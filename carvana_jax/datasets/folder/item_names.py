"""Short names for photos, by their paths."""

import itertools
from collections.abc import Callable, Sequence

from carvana_jax.datasets.folder import role_words
from carvana_jax.datasets.folder.listing import Picture
from carvana_jax.datasets.folder.role_words import Meaning


def of(pictures: Sequence[Picture]) -> list[str]:
  """Returns each picture's path without the folders that tell nothing of it.

  These are the ones that all lie in, and those named for photos, masks and
  splits, where the names stay different.

  Args:
    pictures: photos, or masks.

  Returns:
    Their names in the same order, no two of them equal if no two paths are.
  """
  full = [x.folders for x in pictures]
  without_roles = [_without(x, _is_role) for x in full]
  without_words = [_without(x, _is_word) for x in full]
  names = []
  for folders in (_without_equal(full), without_words, without_roles, full):
    count = common(folders)
    names = [
      '/'.join((*inner[count:], picture.file.path.name))
      for inner, picture in zip(folders, pictures, strict=True)
    ]
    if len(set(names)) == len(names):
      break
  return names


def _without(
  folders: tuple[str, ...], is_dropped: Callable[[Meaning], bool]
) -> tuple[str, ...]:
  return tuple(x for x in folders if not is_dropped(role_words.of_name(x)))


def _without_equal(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
  """Drops what is equal in all paths but for words, as DUTS-TR and DUTS-TE."""
  columns = zip(*paths, strict=False)  # as deep as the nearest file
  rests = [{role_words.of_name(x).rest for x in column} for column in columns]
  kept = [at for at, rest in enumerate(rests) if len(rest) > 1]
  return [(*(x[at] for at in kept), *x[len(rests) :]) for x in paths]


def common(paths: Sequence[Sequence[str]]) -> int:
  """Returns how many leading folders, or letters of names, all share."""
  if not paths:
    return 0
  # What the first and the last in order share, all between them do.
  pairs = zip(min(paths), max(paths), strict=False)
  return sum(1 for _ in itertools.takewhile(lambda x: x[0] == x[1], pairs))


def _is_word(meaning: Meaning) -> bool:
  return bool(meaning.role or meaning.split) and not meaning.rest


def _is_role(meaning: Meaning) -> bool:
  return bool(meaning.role) and not meaning.rest and not meaning.split
