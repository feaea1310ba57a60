"""All pictures, tables and other files of a folder, at any depth, and of ZIPs.

An archive counts as a folder of its name: `car1.zip` with `images/a.jpg` holds
what car1/images/a.jpg would be.
"""

import functools
import os
import pathlib
import stat
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from etils import epath

from carvana_jax.datasets import decoding, file_listing, unused_files
from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.unused_files import UnusedFile
from carvana_jax.system import zip_archives
from carvana_jax.system.errors import UserError

# Reasons, each the end of a line that has named the files.
_SEEN = 'that folder is looked into already, under another name'
_UNPACKED = 'they are unpacked beside it'
_OTHER_FORMAT = 'pictures of that format are not read; save them as PNG or JPG'
_NOTES = 'lists, outlines and notes are not read; masks must be pictures'
_NO_IMAGE = 'by its name that is no picture'

MASK_ENDINGS = (*decoding.ENDINGS, '.gif')
TABLE_ENDINGS = ('.csv', '.tsv')
_OTHER_FORMATS = (
  '.jxl', '.jp2', '.j2k', '.psd', '.xcf', '.svg', '.eps', '.pdf', '.tga',
  '.pcx', '.ppm', '.pgm', '.pbm', '.exr', '.hdr', '.npy', '.npz', '.mat',
  '.nii', '.nii.gz', '.dcm', '.mha', '.nrrd', '.arw', '.cr2', '.cr3', '.dng',
  '.nef', '.orf', '.raf', '.rw2', '.mp4', '.mov', '.avi',
)  # fmt: skip
_NOTE_ENDINGS = ('.json', '.xml', '.yaml', '.yml', '.txt')
# Of no news: what data sets and this program write beside the pictures.
_EXPECTED = (
  'dataset.json', 'metadata.csv', 'sample_submission.csv', 'train_masks.csv',
  'report.csv', 'suspects.png', '29bb3ece3180_11.jpg', 'metadata.csv.zip',
  'sample_submission.csv.zip', 'train_masks.csv.zip',
)  # fmt: skip
_EXPECTED_STEMS = ('readme', 'license', 'licence')


class Picture(NamedTuple):
  """A file that may be a photo or a mask.

  Attributes:
    file: the file.
    folders: those that it lies in, archives among them.
    stem: its name without the ending; accents are one letter with theirs.
    ending: that of its name, in small letters.
  """

  file: File
  folders: tuple[str, ...]
  stem: str
  ending: str

  @property
  def label(self) -> str:
    """Where the file is, as messages have it; no two have the same."""
    return self.file.label

  @property
  def name(self) -> str:
    """The file's own name."""
    return f'{self.stem}{self.ending}'

  @property
  def path(self) -> str:
    """The path with slashes, as of an unpacked file."""
    return '/'.join((*self.folders, self.file.path.name))


class Found(NamedTuple):
  """The files of a folder.

  Attributes:
    pictures: those that can be decoded, in the order of their paths.
    tables: CSV files, as if they were pictures.
    left_out: all others, but for what is expected there.
  """

  pictures: list[Picture]
  tables: list[Picture]
  left_out: list[UnusedFile]


def is_archive(path: epath.Path) -> bool:
  """Returns whether a path is that of a ZIP."""
  return path.suffix.lower() == '.zip' and path.is_file()


def find(folder: epath.Path) -> Found:
  """Lists the files of a folder and of the ZIPs in it.

  Archives in archives are copied to nameless temporary files, see
  `file_listing.files_in_archive`.

  Args:
    folder: where to look, or a ZIP.

  Returns:
    The files.

  Raises:
    UserError: the folder or an archive cannot be read.
  """
  found = Found([], [], [])
  if is_archive(folder):
    unpacked = [_picture(_regular(folder, (folder.name,), os.stat(folder)), ())]
  else:
    unpacked = list(_walk(folder, found.left_out))
  sizes = {x.path: x.file.size for x in unpacked}
  archives = []
  for one in unpacked:
    (archives if one.ending == '.zip' else found.pictures).append(one)
  archives = [x for x in archives if not _is_expected(x)]
  while archives:
    archive = archives.pop()
    members = _members(archive, sizes, found.left_out)
    archives += (x for x in members if x.ending == '.zip')
    found.pictures.extend(x for x in members if x.ending != '.zip')
  files = sorted(found.pictures, key=lambda x: x.path)
  del found.pictures[:]
  for one in files:
    if _is_expected(one):
      continue
    if one.ending in MASK_ENDINGS:
      one.file.refuse_locked()
      found.pictures.append(one)
    elif one.ending in TABLE_ENDINGS:
      found.tables.append(one)
    else:
      found.left_out.append(UnusedFile(one.label, _reason(one)))
  return found


def normal(text: str) -> str:
  """Returns a name with accents as one letter with theirs."""
  return text if text.isascii() else unicodedata.normalize('NFC', text)


def _picture(file: File, folders: tuple[str, ...]) -> Picture:
  stem, ending = os.path.splitext(normal(file.path.name))
  return Picture(file, folders, stem, ending.lower())


def _walk(top: epath.Path, left_out: list[UnusedFile]) -> Iterator[Picture]:
  """Yields the files; each folder is entered once, whatever links lead there.

  Raises:
    UserError: the top folder cannot be read.
  """
  seen = set()
  near, linked = [()], []  # linked ones last: their own names come first
  while near or linked:
    parts = near.pop() if near else linked.pop()
    folder = os.path.join(top, *parts)
    try:
      status = os.stat(folder)
      with os.scandir(folder) as entries:
        entries = sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
      if not parts:
        raise UserError(
          f'{top} cannot be read ({error.strerror}); change its permissions or'
          ' give another manual_dir.'
        ) from error
      reason = f'cannot be read: {error.strerror}'
      left_out.append(UnusedFile(f'{"/".join(parts)}/', reason))
      continue
    identity = status.st_dev, status.st_ino
    if identity in seen:
      left_out.append(UnusedFile(f'{"/".join(parts)}/', _SEEN))
      continue
    seen.add(identity)
    for entry in entries:
      if zip_archives.is_litter([entry.name]):
        continue
      inner = (*parts, entry.name)
      if _is_folder(entry):
        (linked if entry.is_symlink() else near).append(inner)
      elif file := _file(entry, inner):
        yield _picture(file, tuple(map(normal, parts)))
      else:
        left_out.append(UnusedFile('/'.join(inner), unused_files.NO_FILE))


def _is_folder(entry: os.DirEntry) -> bool:
  try:
    return entry.is_dir()
  except OSError:  # a link in a circle
    return False


def _file(entry: os.DirEntry, parts: tuple[str, ...]) -> File | None:
  """Returns a file; None for a link to nowhere, a pipe or a device."""
  try:
    status = entry.stat()
  except OSError:
    return None
  if not stat.S_ISREG(status.st_mode):
    return None
  return _regular(entry, parts, status)


def _regular(
  path: os.PathLike, parts: tuple[str, ...], status: os.stat_result
) -> File:
  place = epath.Path(path)
  label = '/'.join(parts)
  opener = functools.partial(open, place, 'rb')
  path = pathlib.PurePosixPath(label)
  return File(label, path, status.st_size, opener, place=place)


def _members(
  archive: Picture, unpacked: dict[str, int], left_out: list[UnusedFile]
) -> list[Picture]:
  """Returns the files of a ZIP that are not unpacked beside it."""
  listing = file_listing.files_in_archive(archive.file)
  left_out += listing.left_out
  found, twice = [], 0
  for file in listing.files:
    inner = tuple(map(normal, file.path.parts[:-1]))
    one = _picture(file, (*archive.folders, archive.stem, *inner))
    beside = '/'.join((*archive.folders, *file.path.parts))
    if file.size in (unpacked.get(one.path), unpacked.get(beside)):
      twice += 1
    else:
      found.append(one)
  if twice:
    left_out.append(UnusedFile(str(archive.file), _UNPACKED, twice))
  return found


def _is_expected(one: Picture) -> bool:
  return one.name.lower() in _EXPECTED or one.stem.lower() in _EXPECTED_STEMS


def _reason(one: Picture) -> str:
  """Returns why a file is neither a picture nor a table."""
  name = one.name.lower()
  if one.ending in decoding.LACKING:
    return f'it needs: {decoding.LACKING[one.ending]}'
  for endings, reason in (
    (unused_files.DOWNLOADS, unused_files.UNFINISHED),
    (_OTHER_FORMATS, _OTHER_FORMAT),
    (unused_files.ARCHIVES, unused_files.ARCHIVE),
    (_NOTE_ENDINGS, _NOTES),
  ):
    if name.endswith(endings):
      return reason
  if not one.ending:
    return _reason_by_content(one.file)
  return _NO_IMAGE


def _reason_by_content(file: File) -> str:
  try:
    with file.open() as stream:
      kind = decoding.kind_of(stream.read(decoding.HEAD))
  except zip_archives.READ_ERRORS:
    return 'it cannot be read'
  if kind is None:
    return _NO_IMAGE
  return f'by content a picture; let its name end in {decoding.ENDING_OF[kind]}'
