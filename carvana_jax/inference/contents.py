"""Whether photos are still what files were made of: by content, not by name.

A photo is known by the SHA-256 of its file. Reading 100,000 photos again takes
a minute or more, so that of one whose stamp is as it was is not computed again.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from carvana_jax.inference import photos
from carvana_jax.system import progress, stamps, threads
from carvana_jax.system.errors import UserError


class Content(NamedTuple):
  """What a photo's file holds."""

  digest: str  # 64 hexadecimal digits
  stamp: list[int] | None  # see `Photo.stamp`; None if it tells nothing


def read(photo: photos.Photo) -> tuple[bytes, Content]:
  """Returns a photo's bytes, and how they are told from others.

  Raises:
    UserError: they can't be read.
  """
  # The stamp first: what changes while it is read has another one afterwards.
  stamp = _stamp(photo)
  if not stamps.is_settled(stamp):
    stamp = None
  data = photo.read()
  return data, Content(hashlib.sha256(data).hexdigest(), stamp)


def present(
  found: Mapping[str, photos.Photo], known: Mapping[str, Content | None]
) -> dict[str, Content | None]:
  """Returns what photos hold by now.

  Args:
    found: photos by any names.
    known: what they held earlier, by the same names.

  Returns:
    The content of each photo; None where it can't be read.
  """

  def look(name):
    earlier = known.get(name)
    if earlier and earlier.stamp and earlier.stamp == _stamp(found[name]):
      return name, earlier
    try:
      return name, read(found[name])[1]
    except UserError:  # whoever decodes it will say so
      return name, None

  return dict(
    progress.bar(
      threads.ordered_map(look, found),
      total=len(found),
      unit='photo',
      title='what has changed',
    )
  )


def _stamp(photo):
  try:
    return photo.stamp()
  except OSError:  # it has just been removed
    return None
