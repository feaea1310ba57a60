"""Several ways to read which pictures are photos and which are masks."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from carvana_jax.datasets.folder import mask_look, pairing, role_words
from carvana_jax.datasets.folder.listing import Picture
from carvana_jax.datasets.folder.pairing import Pairing
from carvana_jax.datasets.unused_files import UnusedFile

# Reasons, each the end of a line that has named the files.
_NEITHER = 'neither in a folder of photos nor of masks'
_TO_LOOK_AT = 'by its folder it is neither a photo nor a mask'
_SECOND = 'there are other masks, by the names of the folders'
_GIF = 'photos in GIF are not read; save them as PNG'
_HQ = 'train/ and test/ are used instead'
_OTHER_ENDING = 'among masks, but of another ending'

# How likely a photo's file ends so, the likeliest first; masks come last.
_LOSSY = ('.jpg', '.jpeg', '.jpe', '.jfif', '.heic', '.heif', '.hif', '.avif',
          '.webp')  # fmt: skip
_LOSSLESS = ('.tif', '.tiff', '.bmp', '.png', '.gif')
_MOST_NAMES = 6  # of folders side by side that may be photos and masks
_MOST_COUPLES = 3


class Reading(NamedTuple):
  """Which pictures are photos, and which are masks.

  Attributes:
    photos: the photos.
    masks: the masks.
    left_out: pictures that are neither.
    is_guess: whether their content must show it.
  """

  photos: list[Picture]
  masks: list[Picture]
  left_out: list[UnusedFile]
  is_guess: bool = False


def all_of(pictures: Sequence[Picture], ending: str) -> Iterator[Reading]:
  """Yields the ways to read the names, the most certain first.

  Args:
    pictures: photos and masks.
    ending: what follows a photo's name in that of its mask; '' to find out.
  """
  pictures, hq = _without_hq(pictures)
  for reading in _readings(pictures, ending):
    photos = [x for x in reading.photos if x.ending != '.gif']
    gifs = [
      UnusedFile(x.label, _GIF) for x in reading.photos if x.ending == '.gif'
    ]
    if photos and reading.masks:
      left_out = [*reading.left_out, *gifs, *hq]
      yield reading._replace(photos=photos, left_out=left_out)


def _readings(pictures: Sequence[Picture], ending: str) -> Iterator[Reading]:
  if ending:
    yield _by_given_ending(pictures, ending)
    return
  beside = _beside(pictures)
  # Where only some folders have a word, as in 'face mask/' and 'shoe/', it may
  # be of what is shown.
  if beside and role_words.PHOTO not in map(_role, pictures):
    yield _split_up(pictures, beside)
  yield _by_folders(pictures, set())
  if beside:
    yield _by_folders(pictures, beside)
  yield _by_formats(pictures)
  yield _by_found_ending(pictures)
  yield from _by_couples(pictures)


def checked(reading: Reading, pairs: Pairing) -> Reading | str:
  """Looks at a few pictures of a reading that is a guess.

  Args:
    reading: the guess.
    pairs: what fits together in it.

  Returns:
    The reading, with photos and masks exchanged if need be; or what is not
    clear, as a sentence.
  """
  photos = mask_look.are_masks([x.photo for x in pairs.pairs])
  masks = mask_look.are_masks([x.mask for x in pairs.pairs])
  if masks and photos is False:
    return reading
  if photos and masks is False:
    return reading._replace(photos=reading.masks, masks=reading.photos)
  first = pairs.pairs[0]
  return (
    f'{first.photo.label} and {first.mask.label} may be photo and mask, but'
    f' {"both look" if masks and photos else "neither looks"} like a mask'
  )


def _without_hq(
  pictures: Sequence[Picture],
) -> tuple[list[Picture], list[UnusedFile]]:
  """Leaves out train_hq where there is train, which has the same photos."""
  names = {x.lower() for one in pictures for x in one.folders}
  twice = {x for x in ('train_hq', 'test_hq') if x.removesuffix('_hq') in names}
  kept, left_out = [], []
  for one in pictures:
    if twice.intersection(map(str.lower, one.folders)):
      left_out.append(UnusedFile(one.label, _HQ))
    else:
      kept.append(one)
  return kept, left_out


def _role(one: Picture) -> str:
  return role_words.of_folders(one.folders).role


def _by_given_ending(pictures: Sequence[Picture], ending: str) -> Reading:
  reading = Reading([], [], [])
  for one in pictures:
    role = _role(one)
    if pairing.without_ending(one, ending) is not None:
      reading.masks.append(one)
    elif role in (role_words.MASK, role_words.SECOND, role_words.OTHER):
      reading.left_out.append(UnusedFile(one.label, _OTHER_ENDING))
    else:
      reading.photos.append(one)
  return reading


def _by_folders(pictures: Sequence[Picture], beside: set[str]) -> Reading:
  """Reads the names of the folders.

  Args:
    pictures: photos and masks.
    beside: paths of pictures that are masks whatever folder they lie in; all
      others of the same folders are photos.
  """
  reading = Reading([], [], [])
  mixed = {x.folders for x in pictures if x.label in beside}
  roles = set(map(_role, pictures))
  for one in pictures:
    role = _role(one)
    if one.label in beside or role == role_words.MASK:
      reading.masks.append(one)
    elif role == role_words.SECOND:
      if role_words.MASK in roles:
        reading.left_out.append(UnusedFile(one.label, _SECOND))
      else:
        reading.masks.append(one)
    elif role == role_words.OTHER:
      reading.left_out.append(UnusedFile(one.label, _TO_LOOK_AT))
    elif (
      role == role_words.PHOTO
      or role_words.PHOTO not in roles
      or one.folders in mixed
      or _is_split(one)
    ):
      reading.photos.append(one)
    else:
      reading.left_out.append(UnusedFile(one.label, _NEITHER))
  return reading


def _is_split(one: Picture) -> bool:
  meaning = role_words.of_folders(one.folders)
  return bool(meaning.split) and not meaning.rest


def _beside(pictures: Sequence[Picture]) -> set[str]:
  """Returns the paths of those that lie beside their photo, by their names."""
  stems = set()
  for one in pictures:
    if not role_words.is_mask_name(one.stem):
      stems |= {
        (one.folders, one.stem),
        (one.folders, one.name),
      }
      stems |= {(one.folders, x) for x in role_words.photo_cores(one.stem)}
  return {
    one.label
    for one in pictures
    if role_words.is_mask_name(one.stem)
    and any(
      (one.folders, core) in stems for core in role_words.mask_cores(one.stem)
    )
  }


def _split_up(
  pictures: Iterable[Picture], masks: set[str], is_guess: bool = False
) -> Reading:
  reading = Reading([], [], [], is_guess)
  for one in pictures:
    (reading.masks if one.label in masks else reading.photos).append(one)
  return reading


def _by_formats(pictures: Sequence[Picture]) -> Reading:
  """Reads a.jpg and a.png in one folder as photo and mask."""
  groups = collections.defaultdict(list)
  for one in pictures:
    groups[one.folders, one.stem].append(one)
  masks = set()
  for group in groups.values():
    ranks = [_rank(x) for x in group]
    masks |= {
      x.label for x, rank in zip(group, ranks, strict=True) if rank > min(ranks)
    }
  return _split_up(pictures, masks, is_guess=True)


def _rank(one: Picture) -> int:
  return 0 if one.ending in _LOSSY else 1 + _LOSSLESS.index(one.ending)


def _by_found_ending(pictures: Sequence[Picture]) -> Reading:
  """Reads what follows most names in one folder as the ending of masks."""
  ending = pairing.commonest_ending(pictures)
  stems = {(x.folders, x.stem) for x in pictures}
  masks = set()
  if ending:
    masks = {
      x.label
      for x in pictures
      if x.stem.endswith(ending)
      and (x.folders, x.stem.removesuffix(ending)) in stems
    }
  return _split_up(pictures, masks, is_guess=True)


def _by_couples(pictures: Sequence[Picture]) -> Iterator[Reading]:
  """Reads two folders whose files have the same names as photos and masks."""
  stems = collections.defaultdict(set)
  for one in pictures:
    stems[one.folders].add(one.stem)
  beside = collections.defaultdict(set)
  for folders in stems:
    for at, name in enumerate(folders):
      beside[folders[:at], folders[at + 1 :]].add(name)
    for at in range(len(folders) + 1):
      beside[folders[:at], folders[at:]]
  for before, after in list(beside):
    if before + after in stems and beside[before, after]:
      beside[before, after].add('')
  shared = collections.Counter()
  for (before, after), names in beside.items():
    if len(names) > _MOST_NAMES:
      continue
    for one in names:
      for two in names:
        if one < two:
          left = stems[_with(before, one, after)]
          shared[len(before), one, two] += len(
            left & stems[_with(before, two, after)]
          )
  for (at, one, two), count in shared.most_common(_MOST_COUPLES):
    if count or len(stems) == 2:
      yield _couple(pictures, at, one, two)


def _with(before, name, after):
  return (*before, *([name] if name else []), *after)


def _couple(
  pictures: Sequence[Picture], at: int, one: str, two: str
) -> Reading:
  """Reads folders that differ in one name; '' for the folder around it."""
  reading = Reading([], [], [], is_guess=True)
  for picture in pictures:
    name = picture.folders[at] if len(picture.folders) > at else ''
    if name and name in (one, two):
      folders = picture.folders[:at] + picture.folders[at + 1 :]
      inner = picture._replace(folders=folders)
      (reading.photos if name == one else reading.masks).append(inner)
    elif one == '' and len(picture.folders) == at:
      reading.photos.append(picture)
    else:
      reading.left_out.append(UnusedFile(picture.label, _NEITHER))
  return reading
