"""Finds photos, masks and splits in a user's folder, whatever its layout.

A table of photos and masks counts first. Else the names of folders and files
are read in several ways, and the one that gives most photos a mask is taken.
"""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from etils import epath

from carvana_jax.datasets import unused_files
from carvana_jax.datasets.folder import (
  item_names,
  listing,
  pairing,
  readings,
  role_words,
  table_layout,
)
from carvana_jax.datasets.folder.items import Item
from carvana_jax.datasets.folder.listing import Picture
from carvana_jax.datasets.folder.pairing import Pairing
from carvana_jax.datasets.folder.readings import Reading
from carvana_jax.system import files, names_in_messages
from carvana_jax.system.errors import UserError

_SHOWN = 3  # folders, or splits, in a line


class Layout(NamedTuple):
  """What a folder holds.

  Attributes:
    items: photos and masks, in the order of their names.
    text: a line on what was found.
    left_out: lines on what is not used.
  """

  items: list[Item]
  text: str
  left_out: tuple[str, ...]


def find(manual_dir: epath.PathLike, mask_ending: str = '') -> Layout:
  """Finds photos and masks.

  Files are decoded only where their names don't tell photos from masks: a few
  of them.

  Args:
    manual_dir: the folder that the user put the files into, or a ZIP of it.
    mask_ending: what follows a photo's name in that of its mask, such as
      `_mask`, with or without the file's own ending; '' to find out.

  Returns:
    What was found; at least one photo has a mask.

  Raises:
    UserError: the folder or an archive cannot be read, no masks are found, it
      is not clear which are the masks, or whose a mask is.
  """
  files.refuse_no_path(str(manual_dir))
  folder = epath.Path(manual_dir).expanduser()
  if not (folder.is_dir() or listing.is_archive(folder)):
    what = 'is no folder or ZIP' if folder.exists() else 'does not exist'
    raise UserError(
      f'{folder} {what}; data.manual_dir must be the folder, or the ZIP, that'
      ' holds photos and masks.'
    )
  found = listing.find(folder)
  if table := table_layout.find(folder, found):
    lines = unused_files.lines([*found.left_out, *table.left_out])
    return Layout(table.items, table.text, tuple(lines))
  pictures = _below_common(found.pictures)
  try:
    reading, pairs = _best(folder, pictures, mask_ending)
  except UserError as error:
    if lines := unused_files.lines(found.left_out):
      raise UserError(f'{str(error)[:-1]} ({"; ".join(lines)}).') from error
    raise
  left_out = [*found.left_out, *reading.left_out]
  items = _items(pairs)
  text = _text(reading, pairs, items)
  return Layout(items, text, tuple(unused_files.lines(left_out)))


def _below_common(pictures: Sequence[Picture]) -> list[Picture]:
  """Returns pictures without the folders that all of them lie in."""
  count = item_names.common([x.folders for x in pictures])
  return [x._replace(folders=x.folders[count:]) for x in pictures]


def _best(
  folder: epath.Path, pictures: Sequence[Picture], ending: str
) -> tuple[Reading, Pairing]:
  """Returns the reading of the names that gives most photos a mask.

  Raises:
    UserError: there is none, or it gives a photo two masks, or a mask two
      photos.
  """
  found = []
  for reading in readings.all_of(pictures, ending):
    pairs = pairing.pair(reading.photos, reading.masks, ending)
    if pairs.is_complete and not reading.is_guess:
      found = [(reading, pairs)]
      break
    if pairs.pairs or pairs.clashes:
      found.append((reading, pairs))
  # The first of the best, as `sorted` keeps the order of equal ones.
  found.sort(key=lambda one: one[1].worth, reverse=True)
  unclear = ''
  for reading, pairs in found:
    if pairs.clashes:
      more = len(pairs.clashes) - 1
      raise UserError(
        f'{folder}: {pairs.clashes[0]}{f" (and {more} more)" if more else ""};'
        ' remove one, give --config.data.mask_ending, or a CSV with the'
        ' columns photo and mask.'
      )
    if not reading.is_guess:
      _refuse_channels(folder, reading, pairs)
      return reading, pairs
    verdict = readings.checked(reading, pairs)
    if isinstance(verdict, Reading):
      return verdict, pairing.pair(verdict.photos, verdict.masks)
    unclear = unclear or verdict
  raise UserError(_nothing(folder, pictures, ending, unclear))


def _nothing(
  folder: epath.Path, pictures: Sequence[Picture], ending: str, unclear: str
) -> str:
  if not pictures:
    return (
      f'{folder} holds no pictures; data.manual_dir must be the folder of your'
      ' photos and masks, or of ZIPs of them.'
    )
  some = names_in_messages.some(x.label for x in pictures)
  why = f'no masks were found among its {len(pictures)} pictures ({some})'
  if ending:
    why = f'no mask of a photo ends in {ending} among {some}'
  return (
    f'{folder}: {unclear or why}; put photos into images/ and masks of the same'
    ' names into masks/, give --config.data.mask_ending, or a CSV with the'
    ' columns photo and mask.'
  )


def _refuse_channels(
  folder: epath.Path, reading: Reading, pairs: Pairing
) -> None:
  """Raises a `UserError` where nnU-Net's photos are in several files each."""
  names = ((x.photo.stem, x.mask.stem) for x in pairs.pairs)
  if not any(photo == mask + pairing.CHANNEL for photo, mask in names):
    return
  for photo in reading.photos:
    if photo.stem.endswith('_0001'):
      raise UserError(
        f'{folder}: {photo.label} is the second channel of a photo in several'
        ' files; save each photo as one RGB file.'
      )


def _items(pairs: Pairing) -> list[Item]:
  """Returns photos and masks under names of their own, with their splits."""
  photos = [x.photo for x in pairs.pairs] + pairs.photos
  names = item_names.of(photos)
  masks = {x.photo.label: x.mask.file for x in pairs.pairs}
  own = _own_splits([x.photo for x in pairs.pairs])
  items = [
    Item(name, x.file, masks.get(x.label), _split(x) if own else None)
    for name, x in zip(names, photos, strict=True)
  ]
  taken = set(names)
  for name, mask in zip(item_names.of(pairs.masks), pairs.masks, strict=True):
    name = name if name not in taken else mask.label
    items.append(Item(name, None, mask.file))
  return sorted(items, key=lambda item: item.name)


def _split(photo: Picture) -> str | None:
  return role_words.of_folders(photo.folders).split or None


def _own_splits(photos: Iterable[Picture]) -> bool:
  """Returns whether two splits have photos with masks.

  The folders' names must differ in that word alone: `train` and `test`, but not
  `train wagon` and `test car`.
  """
  splits = collections.defaultdict(set)
  for photo in photos:
    meanings = map(role_words.of_name, photo.folders)
    if words := [x for x in meanings if x.split]:
      splits[words[-1].rest].add(words[-1].split)
  return any(len(one) > 1 for one in splits.values())


def _text(reading: Reading, pairs: Pairing, items: Sequence[Item]) -> str:
  count = names_in_messages.counted(len(pairs.pairs), 'photo')
  photos = {_folder(x.photo) for x in pairs.pairs}
  masks = {_folder(x.mask) for x in pairs.pairs}
  how = pairing.how(pairs.pairs)
  if photos == masks:
    text = f'{count} in {_some(photos)}, masks beside them {how}'
  else:
    text = f'{count} in {_some(photos)}, masks in {_some(masks)} {how}'
  if reading.is_guess:
    text += ' (told from photos by content)'
  if pairs.photos:
    more = names_in_messages.counted(len(pairs.photos), 'photo')
    text += f'; {more} without a mask'
  if pairs.masks:
    more = names_in_messages.counted(len(pairs.masks), 'mask')
    text += f'; {more} without a photo'
  return text + table_layout.splits_text(items)


def _folder(one: Picture) -> str:
  folder = one.label.removesuffix(one.file.path.name)
  return folder.removesuffix(':') or './'


def _some(folders: set[str]) -> str:
  if len(folders) > _SHOWN:
    first = names_in_messages.printable(min(folders))
    return f'{len(folders)} folders such as {first}'
  return ' and '.join(map(names_in_messages.printable, sorted(folders)))
