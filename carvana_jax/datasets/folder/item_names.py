"""Short names for photos, by their paths."""

import itertools
from collections.abc import Sequence

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
  for drop in (_is_word, _is_role, _is_nothing):
    folders = [
      tuple(x for x in picture.folders if not drop(role_words.of_name(x)))
      for picture in pictures
    ]
    count = common(folders)
    names = [
      '/'.join((*inner[count:], picture.file.path.name))
      for inner, picture in zip(folders, pictures, strict=True)
    ]
    if len(set(names)) == len(names):
      break
  return names


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


def _is_nothing(meaning: Meaning) -> bool:
  return False
