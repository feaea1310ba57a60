"""Reads a user's table of photos, masks, groups and splits."""

import csv
import io
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from etils import epath

from carvana_jax.datasets import decoding, unused_files
from carvana_jax.datasets.folder import item_names, listing, role_words
from carvana_jax.datasets.folder.items import Item
from carvana_jax.datasets.folder.listing import Found, Picture
from carvana_jax.datasets.unused_files import UnusedFile
from carvana_jax.system import files, names_in_messages
from carvana_jax.system.errors import UserError

# What columns may be called, in small letters without separators.
_PHOTO = (
  'photo', 'photos', 'image', 'images', 'img', 'picture', 'file', 'filename',
  'path', 'photopath', 'imagepath', 'imgpath', 'photofile', 'imagefile',
  'filepath', 'input', 'imagename', 'photoname',
)  # fmt: skip
_MASK = (
  'mask', 'masks', 'matte', 'maskpath', 'maskfile', 'maskname', 'label',
  'labelpath', 'labelfile', 'segmentation', 'segmentationpath', 'gt', 'gtpath',
  'groundtruth', 'annotation', 'annotationpath', 'alpha', 'target',
)  # fmt: skip
_GROUP = (
  'group', 'groupid', 'object', 'objectid', 'car', 'carid', 'product',
  'productid', 'item', 'itemid',
)  # fmt: skip
_SPLIT = ('split', 'subset', 'set', 'partition')

# Reasons, each the end of a line that has named the files.
_NOT_UTF8 = 'a table that is not UTF-8; save it so'
_OTHER_TABLE = 'a table without the columns photo and mask'
_NO_FILES = 'a table whose column of masks names no pictures'
_ABSENT = 'rows of a table whose file does not exist'
_NOT_LISTED = 'not in the table'


class Table(NamedTuple):
  """What tables say; see `layouts.Layout`."""

  items: list[Item]
  text: str
  left_out: list[UnusedFile]


class _Row(NamedTuple):
  photo: Picture
  mask: Picture | None
  group: str | None
  split: str | None
  where: str  # table and line


def find(folder: epath.Path, found: Found) -> Table | None:
  """Reads the tables that have columns of photos and masks.

  Args:
    folder: where the files are.
    found: all of them.

  Returns:
    Photos and masks; None where there is no such table.

  Raises:
    UserError: a table cannot be read, names a file twice or one outside of the
      folder, or an unknown split.
  """
  reader = _Reader(folder, found.pictures)
  tables, rows = [], []
  for table in found.tables:
    try:
      inside = list(reader.rows(table))
    except ValueError as error:
      found.left_out.append(UnusedFile(table.label, str(error)))
    else:
      tables.append(table)
      rows += inside
  if not tables:
    return None
  if not any(row.mask for row in rows):
    raise UserError(
      f'{tables[0].label} names no photo with a mask'
      f' ({"; ".join(unused_files.lines(reader.left_out))}); write paths as'
      ' they are seen from its folder.'
    )
  _refuse_twice(rows)
  names = item_names.of([row.photo for row in rows])
  splits = {row.split for row in rows if row.split and row.mask}
  items = [
    Item(
      name,
      row.photo.file,
      row.mask and row.mask.file,
      row.split if len(splits) > 1 else None,
      row.group,
    )
    for name, row in zip(names, rows, strict=True)
  ]
  items.sort(key=lambda item: item.name)
  used = {x.path for row in rows for x in (row.photo, row.mask) if x}
  left_out = [
    *reader.left_out,
    *(
      UnusedFile(x.label, _NOT_LISTED)
      for x in found.pictures
      if x.path not in used
    ),
  ]
  return Table(items, _text(tables, items), left_out)


def _text(tables: Iterable[Picture], items: Sequence[Item]) -> str:
  labelled = [x for x in items if x.mask]
  count = names_in_messages.counted(len(labelled), 'photo')
  text = (
    f'{count} with masks in {names_in_messages.some(x.label for x in tables)}'
  )
  if bare := len(items) - len(labelled):
    more = names_in_messages.counted(bare, 'photo')
    text += f'; {more} without a mask'
  if groups := {x.group for x in labelled if x.group}:
    text += f'; {names_in_messages.counted(len(groups), "group")}'
  return text + splits_text(items)


def splits_text(items: Iterable[Item]) -> str:
  """Returns what a line says of a folder's own splits; '' where it has none."""
  counts = dict.fromkeys(('train', 'validation', 'test'), 0)
  for item in items:
    if item.split and item.photo and item.mask:
      counts[item.split] += 1
  found = ', '.join(f'{x} {count}' for x, count in counts.items() if count)
  return f'; its own splits: {found}' if found else ''


def _refuse_twice(rows: Iterable[_Row]) -> None:
  photos, masks = {}, {}
  for row in rows:
    for seen, one in ((photos, row.photo), (masks, row.mask)):
      other = seen.setdefault(one.path, row) if one else row
      if other is not row:
        raise UserError(
          f'{other.where} and {row.where} both have {one.label}; remove one.'
        )


class _Reader:
  """Reads tables, and remembers what of them is of no use."""

  def __init__(self, folder: epath.Path, pictures: Iterable[Picture]):
    self._folder = listing.normal(f'{os.path.abspath(folder)}/')
    self.left_out: list[UnusedFile] = []
    self._pictures = {listing.normal(x.path): x for x in pictures}

  def rows(self, table: Picture) -> Iterator[_Row]:
    """Returns the rows of a table.

    Raises:
      ValueError: it is of something else; the message says how so.
      UserError: it has a mistake.
    """
    try:
      text = files.utf8_text(table.file.read(), table.label)
    except UserError as error:
      raise ValueError(_NOT_UTF8) from error
    lines = csv.reader(io.StringIO(text, newline=''), _dialect(text))
    try:
      columns = _columns(next(lines, []))
      if not columns:
        raise ValueError(_OTHER_TABLE)
      cells = [(lines.line_num, row) for row in lines if any(row)]
    except csv.Error as error:
      raise UserError(
        f'{table.label} is no CSV (line {lines.line_num}: {error}); mend it.'
      ) from error
    at = columns['mask']
    masks = (row[at].strip().lower() for _, row in cells if len(row) > at)
    if not any(x.endswith(listing.MASK_ENDINGS) for x in masks):
      raise ValueError(_NO_FILES)
    return self._rows(table, cells, columns)

  def _rows(self, table, lines, columns) -> Iterator[_Row]:
    own = role_words.of_name(table.stem).split or None
    for line, cells in lines:
      where = f'{table.label} line {line}'
      row = {
        kind: cells[at].strip() if at < len(cells) else ''
        for kind, at in columns.items()
      }
      if not row['photo']:
        raise UserError(f'{where} names no photo; fill it in or remove it.')
      photo = self._file(table.folders, row['photo'], where)
      mask = self._file(table.folders, row['mask'], where)
      for text, one in ((row['photo'], photo), (row['mask'], mask)):
        if text and not one:
          label = f'{where}: {text}'
          self.left_out.append(UnusedFile(label, _ABSENT))
          break
      else:
        if photo.ending not in decoding.ENDINGS:
          raise UserError(f'{where}: photos in GIF are not read; save as PNG.')
        split = _split(row.get('split', ''), where) or own
        yield _Row(photo, mask, row.get('group') or None, split, where)

  def _file(self, folders, text, where) -> Picture | None:
    """Returns the file that a cell names; None where there is none.

    Raises:
      UserError: the path leads out of the folder.
    """
    path = listing.normal(text.replace('\\', '/'))
    if path.startswith(self._folder):
      folders, path = (), path.removeprefix(self._folder)
    inner = posixpath.normpath('/'.join((*folders, path)))
    if path.startswith('/') or path[1:2] == ':' or inner.startswith('..'):
      raise UserError(
        f'{where}: {names_in_messages.printable(text)} is no path below the'
        ' folder of the table; write it as it is seen from there.'
      )
    return self._pictures.get(inner)


def _dialect(text: str) -> type[csv.Dialect]:
  """Returns how a table separates its columns: by comma, semicolon or tab."""
  head = text.split('\n', 1)[0]

  class Dialect(csv.excel):
    delimiter = max(',;\t', key=head.count)
    strict = True

  return Dialect


def _columns(head: Sequence[str]) -> dict[str, int] | None:
  """Returns the places of the columns; None without photo and mask."""
  names = [''.join(x for x in name.lower() if x.isalnum()) for name in head]
  found = {}
  for kind, known in (
    ('photo', _PHOTO),
    ('mask', _MASK),
    ('group', _GROUP),
    ('split', _SPLIT),
  ):
    for name in known:
      if name in names:
        found[kind] = names.index(name)
        break
  return found if 'photo' in found and 'mask' in found else None


def _split(text: str, where: str) -> str | None:
  if not text:
    return None
  if split := role_words.split(text):
    return split
  raise UserError(
    f'{where}: {names_in_messages.printable(text)} is no split; write train,'
    ' validation or test.'
  )
