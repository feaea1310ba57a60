"""Finds users' photos in a folder, a file, a pattern of files or a ZIP.

A ZIP is read member by member and never unpacked: a member's path is only
looked at.
"""

import dataclasses
import errno
import functools
import glob
import itertools
import os
import pathlib
import re
import stat
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence

from carvana_jax.datasets import decoding
from carvana_jax.inference import folders, left_out, photos
from carvana_jax.system import files, names_in_messages, stamps, zip_archives
from carvana_jax.system.errors import UserError

# Outputs are named after photos: NAME_mask.png.tmp and the like must fit into
# the 255 bytes of most file systems, and a message into its line.
_LONGEST_NAME = 200  # bytes, of a file or folder
_ADVICE = (
  'give a folder of JPG, PNG, WebP, TIFF, BMP or AVIF, such a file, a pattern'
  " in quotes ('photos/*.jpg') or a ZIP."
)
_UNPRINTABLE = re.compile('[\x00-\x1f\x7f\ud800-\udfff]')

# Parts of a path: of none, of this and the folder above, and of a drive.
_LEADS_OUT = re.compile(r'|\.|\.\.|[A-Za-z]:')


def find(
  text: str,
  recursive: bool = False,
  flat: bool = False,
  own: Iterable[str | os.PathLike] = (),
) -> list[photos.Photo]:
  """Finds photos as `look` does, and prints a line on what is left out."""
  found, rest = look(text, recursive, flat, own)
  if str(rest):
    print(f'{text}: {rest}')
  return found


def look(
  text: str,
  recursive: bool = False,
  flat: bool = False,
  own: Iterable[str | os.PathLike] = (),
) -> tuple[list[photos.Photo], left_out.LeftOut]:
  """Finds the photos of a folder, file, pattern or ZIP.

  Photos are files with one of `decoding.ENDINGS` that are not hidden. In a
  folder only its own files count unless recursive, in a ZIP those at any depth.

  Args:
    text: what the user gave; `~` is the home folder, and what does not exist is
      a pattern, in which `**` stands for any folders.
    recursive: whether sub-folders are searched, too, and the photos of a ZIP
      are named with their folders.
    flat: whether no photo is named with folders; else those of a pattern are
      named with the folders that its signs stand for.
    own: files and folders that the command writes, which are no input.

  Returns:
    The photos in the order of their names; and what is left out.

  Raises:
    UserError: there are no photos, two have the same name, or a folder or ZIP
      can't be read.
  """
  rest = left_out.LeftOut()
  search = folders.Search(recursive, own, rest)
  path = os.path.expanduser(text)
  kind = _kind(path, text)
  if kind == 'folder':
    found = _on_disk(search.below(path), path, rest)
  elif kind == 'pattern':
    found = _on_disk(search.matches(path), folders.fixed_part(path)[0], rest)
  elif kind == 'zip':
    found = _in_zip(path, recursive, rest)
  else:
    found = [_alone(path, text)]
  found = [photo for photo in found if _is_usable(photo, rest)]
  if not found:
    raise UserError(_nothing(text, kind, rest))
  if flat:
    found = [
      dataclasses.replace(x, file=os.path.basename(x.file)) for x in found
    ]
  made, advice = ('rows' if flat else 'outputs'), 'rename one'
  if kind == 'zip' and not recursive and not flat:
    advice += ', or let --recursive name them with their folders'
  elif kind == 'folder':
    advice += ", or give a pattern such as 'photos/*.jpg'"
  return _in_order(found, made, advice), rest


def refuse_equal_names(
  found: Sequence[photos.Photo], output: pathlib.Path
) -> None:
  """Refuses names that are one where their outputs go, such as A and a.

  Args:
    found: the photos.
    output: the folder of their outputs, absolute; it need not exist.

  Raises:
    UserError: the disk of that folder does not tell two names apart.
  """
  first = {}
  for photo in found:
    # As macOS sees names; Windows tells accents of two letters from one.
    name = unicodedata.normalize('NFC', photo.name).casefold()
    other = first.setdefault(name, photo)
    if other is not photo and not _are_told_apart(photo, other, output):
      raise UserError(
        f'{photo.label} and {other.label} would have outputs of one name on the'
        f' disk of {output}; rename one.'
      )


def _are_told_apart(photo, other, output):
  there = next(x for x in (output, *output.parents) if x.exists())
  parts = zip(photo.name.split('/'), other.name.split('/'), strict=True)
  one, two = next((x, y) for x, y in parts if x != y)
  with tempfile.TemporaryDirectory(dir=there) as probe:
    pathlib.Path(probe, one).touch()
    return not pathlib.Path(probe, two).exists()


def _kind(path: str, text: str) -> str:
  """Returns what was given: folder, zip, file, or a pattern."""
  try:
    mode = os.stat(path).st_mode
  except (FileNotFoundError, NotADirectoryError):
    if os.path.islink(path):
      raise UserError(
        f'{text} is a link to nowhere; mend it or give another --input.'
      ) from None
    files.refuse_no_path(text)
    return 'pattern'
  except OSError as error:
    if error.errno == errno.EINVAL:  # what Windows says of * and ?
      return 'pattern'
    raise UserError(
      f'{text} cannot be read ({error.strerror}); mend that or give another'
      ' --input.'
    ) from error
  if stat.S_ISDIR(mode):
    return 'folder'
  if not stat.S_ISREG(mode):
    raise UserError(
      f'{text} is neither a file nor a folder; give another --input.'
    )
  return 'zip' if path.lower().endswith('.zip') else 'file'


def _on_disk(
  paths: Iterable[str], base: str, rest: left_out.LeftOut
) -> Iterator[photos.Photo]:
  """Yields the photos among files, named as they are seen from a folder."""
  for path in paths:
    file = _inside(folders.seen_from(base, path))
    photo = photos.on_disk(path, file)
    if _is_photo(file):
      yield photo
    else:
      rest.add(file, left_out.reason(file, photo.open))


def _alone(path: str, text: str) -> photos.Photo:
  """Returns the one photo that was given, if it may be one."""
  photo = photos.on_disk(path)
  if _is_photo(path) or left_out.is_photo_inside(photo.open):
    return photo
  reason = left_out.reason(photo.file, photo.open)
  raise UserError(f'{text} holds no photo ({reason}); {_ADVICE}')


def _is_photo(path: str) -> bool:
  return path.lower().endswith(decoding.ENDINGS)


def _in_zip(
  path: str, with_folders: bool, rest: left_out.LeftOut
) -> Iterator[photos.Photo]:
  """Yields the photos of a ZIP, which stays open while one is in use."""
  try:
    # One for all threads: `zipfile` locks its reads, and does not close a file
    # that it was given.
    archive = zipfile.ZipFile(open(path, 'rb'))  # noqa: SIM115
  except zip_archives.READ_ERRORS as error:
    raise UserError(
      f'{path} is no complete ZIP ({error}); replace it or give another'
      ' --input.'
    ) from error
  stamp = functools.partial(stamps.of_stream, archive.fp)
  for member in archive.infolist():
    inside = member.filename.replace('\\', '/')  # of old Windows tools
    parts = inside.split('/')
    if parts[-1] in ('', '.', '..') or zip_archives.is_litter(parts):
      continue
    opener = functools.partial(archive.open, member)
    if stat.S_ISLNK(member.external_attr >> 16):  # its bytes are a path
      rest.add(inside, left_out.LINK)
    elif not _is_photo(inside):
      rest.add(inside, left_out.reason(inside, opener))
    else:
      label = f'{path}:{inside}'
      _refuse_unreadable_member(member, label)
      file = _inside(inside) if with_folders else parts[-1]
      yield photos.Photo(file, label, opener, stamp)


def _inside(path: str) -> str:
  """Returns a path without the parts that lead out of where it begins."""
  parts = path.split('/')
  return '/'.join(x for x in parts if not _LEADS_OUT.fullmatch(x))


def _refuse_unreadable_member(member: zipfile.ZipInfo, label: str) -> None:
  if reason := zip_archives.locked(member):
    raise UserError(f'{label} {reason}; unpack the ZIP and give the folder.')
  if member.file_size > zip_archives.MOST_BYTES:
    raise UserError(
      f'{label} unpacks to {member.file_size / 2**30:.0f} GiB, too much for a'
      ' photo; remove it.'
    )


def _is_usable(photo: photos.Photo, rest: left_out.LeftOut) -> bool:
  """Returns whether outputs can be named after a photo; else notes it."""
  # A line break, or a name in another encoding, which can't be printed.
  if _UNPRINTABLE.search(photo.label):
    rest.add(photo.file, left_out.UNPRINTABLE)
    return False
  if any(len(x.encode()) > _LONGEST_NAME for x in photo.name.split('/')):
    rest.add(photo.file, f'name of more than {_LONGEST_NAME} bytes; shorten it')
    return False
  return True


def _nothing(text: str, kind: str, rest: left_out.LeftOut) -> str:
  """Returns why no photo was found."""
  if kind != 'pattern' or str(rest):
    there = f' ({rest})' if str(rest) else ''
    return f'{text} holds no photo{there}; {_ADVICE}'
  base = folders.fixed_part(os.path.expanduser(text))[0]
  if base and not os.path.isdir(base):
    return f'{text} does not exist: {base} is no folder; check that path.'
  if not glob.has_magic(text):
    return f'{text} does not exist; check that path.'
  hint = '*.jpg does not stand for A.JPG'
  if '[' in text:
    hint += ', and [ab] stands for a or b: write [[] for ['
  return f'{text} matches no file; check the pattern ({hint}).'


def _in_order(
  found: list[photos.Photo], made: str, advice: str
) -> list[photos.Photo]:
  found = sorted(found, key=lambda photo: (photo.name, photo.label))
  pairs = [x for x in itertools.pairwise(found) if x[0].name == x[1].name]
  if pairs:
    one, other = pairs[0]
    more = len(pairs) - 1
    others = (
      f', as have {names_in_messages.counted(more, "other pair")}'
      if more
      else ''
    )
    raise UserError(
      f'{one.label} and {other.label} have one name{others}, so their {made} '
      f'would have one, too; {advice}.'
    )
  return found
