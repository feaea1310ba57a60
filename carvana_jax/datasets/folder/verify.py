"""Checks every photo and mask before anything is written.

Each problem is one line that names the file and the remedy, so that nobody
learns of a broken photo after an hour, or from scores that are too good.
"""

import collections
import io
import sys
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.datasets import decoding, images
from carvana_jax.datasets.diagnosis import duplicates
from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import masks
from carvana_jax.datasets.folder.groups import UnclearError
from carvana_jax.datasets.folder.items import Item
from carvana_jax.datasets.folder.masks import Reading
from carvana_jax.datasets.folder.splits import Place
from carvana_jax.system import names_in_messages, progress, threads
from carvana_jax.system.errors import UserError, raise_first

_REMEDY = 'replace or remove it.'


class _Facts(NamedTuple):
  """What is kept of a photo and its mask."""

  problems: tuple[str, ...]
  thumbnail: np.ndarray | None = None  # uint8 [24, 36, 3], upright
  area: float | None = None  # 0..1 of all pixels


class _Photo(NamedTuple):
  """What is kept of a photo for its mask."""

  size: tuple[int, int]  # height and width, upright
  orientation: int  # as stored, Exif's
  thumbnail: np.ndarray


def check(
  items: Sequence[Item], places: Sequence[Place], reading: Reading, resize: bool
) -> tuple[str, ...]:
  """Reads every photo and mask once, on all cores.

  Args:
    items: the photos and their masks.
    places: of the items.
    reading: of all masks.
    resize: whether masks may have other sizes than their photos.

  Returns:
    Lines that say what is odd, but allowed.

  Raises:
    UserError: a file cannot be read, a mask does not fit its photo or has none,
      or photos of different splits are the same, which is an `UnclearError`.
      It names the first problem and counts the others.
  """
  found = threads.ordered_map(
    lambda item: _examine(item, reading, resize), items
  )
  facts = list(
    progress.bar(
      found, total=len(items), unit=' photos', title='checking photos'
    )
  )
  raise_first([problem for x in facts for problem in x.problems])
  raise_first(_leaks(items, places, facts), UnclearError)
  return tuple(_oddities(items, facts))


def _examine(item: Item, reading: Reading, resize: bool) -> _Facts:
  if item.photo is None:
    return _Facts((f'{item.mask} has no photo: add it or remove the mask.',))
  try:
    photo = _read_photo(item.photo)
  except UserError as error:
    return _Facts((str(error),))
  except ValueError as error:
    return _Facts((f'{item.photo} {error}: {_REMEDY}',))
  if item.mask is None:
    return _Facts((), photo.thumbnail)
  try:
    mask = masks.decode(
      item.mask.read(), reading, photo.size, photo.orientation, resize
    )
  except UserError as error:
    return _Facts((str(error),))
  except ValueError as error:
    return _Facts((f'{item.mask} {error}.',))
  return _Facts((), photo.thumbnail, cv2.countNonZero(mask) / mask.size)


def _read_photo(file: File) -> _Photo:
  """Reads a photo to its end, and says where its decoder had to guess."""
  data = file.read()
  orientation = decoding.orientation_of(data)
  if decoding.kind_of(data) == 'JPEG':
    try:
      size, pixels, complaint = _read_jpeg(data)
    except decoding.DAMAGED as error:
      raise ValueError('is damaged') from error
    pixels = decoding.upright(pixels, orientation)
    size = size[::-1] if orientation in decoding.ACROSS else size
    if complaint:
      text = f'{file} may look wrong in parts ({complaint}); it is used.'
      # Standard output is TFDS's, and not shown.
      progress.print_above(text, sys.stderr)
  else:
    pixels = decoding.decode(data)
    size = pixels.shape[:2]
  thumbnail = images.reduce(pixels, *duplicates.THUMBNAIL)
  return _Photo(size, orientation, thumbnail)


def _read_jpeg(data):
  """Returns a JPG's stored size, fewer of its pixels, and the complaint."""
  height, width = duplicates.THUMBNAIL
  complaint = images.check_jpeg(data)
  with images.opened(io.BytesIO(data), ['JPEG', 'MPO']) as image:
    size = image.height, image.width
    image.draft('RGB', (4 * width, 4 * height))  # which is much faster
    pixels = np.asarray(image.convert('RGB'))
  return size, pixels, complaint


def _leaks(items, places, facts):
  """Returns a line for every two photos of different splits that are one."""
  labelled = [
    (item, place.split, x.thumbnail)
    for item, place, x in zip(items, places, facts, strict=True)
    if item.mask is not None
  ]
  if not labelled:
    return []
  colours = np.stack([thumbnail for *_, thumbnail in labelled])
  light = np.stack([cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in colours])
  lines = []
  for first, later, _, mirrored in duplicates.near(light, colours):
    photo, split, _ = labelled[first]
    other, other_split, _ = labelled[later]
    if split != other_split:
      lines.append(
        f'{photo.photo} of {split} and {other.photo} of {other_split} look the '
        f'same{", mirrored" if mirrored else ""}: give both one group '
        '(--config.data.groups, or a CSV), or remove one.'
      )
  return lines


def _oddities(items, facts):
  empty = collections.defaultdict(list)
  for item, x in zip(items, facts, strict=True):
    if x.area in (0, 1):
      empty[x.area].append(str(item.mask))
  words = {0: 'empty', 1: 'all object'}
  for area, names in empty.items():
    verb = 'is' if len(names) == 1 else 'are'
    yield f'{names_in_messages.named(names, "mask")} {verb} {words[area]}.'
