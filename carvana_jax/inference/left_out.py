"""Names the files of an --input that are not used, and says why."""

import os
from collections.abc import Callable
from typing import IO

from carvana_jax.datasets import decoding
from carvana_jax.system import names_in_messages, zip_archives

FOLDER = 'folder; --recursive takes its photos'
RESULTS = 'results of predict or submit'
SEEN = 'link to a folder above it, or taken already'
LINK = 'link in a ZIP'
UNPRINTABLE = 'unprintable letters in its path; rename it'
NO_PHOTO = 'no photo'

_ARCHIVE = 'give it to --input by itself'
_OTHER_FORMAT = 'save it as JPG, PNG or TIFF'

# Pictures and cameras' raw files that are not decoded.
_OTHER_FORMATS = (
  '.gif', '.jxl', '.jp2', '.j2k', '.jpf', '.psd', '.xcf', '.svg', '.eps',
  '.pdf', '.tga', '.pcx', '.ico', '.ppm', '.pgm', '.pbm', '.exr', '.hdr',
  '.3fr', '.arw', '.cr2', '.cr3', '.crw', '.dcr', '.dng', '.erf', '.iiq',
  '.kdc', '.mef', '.mos', '.mrw', '.nef', '.nrw', '.orf', '.pef', '.raf',
  '.raw', '.rw2', '.rwl', '.sr2', '.srf', '.srw', '.x3f',
)  # fmt: skip

_GIF = b'GIF8'  # how such files begin


class LeftOut:
  """Files that are left out, by reason; `str()` is a line, '' for none."""

  def __init__(self):
    """Constructs the list, which is empty."""
    self._names = {}

  def add(self, name: str, reason: str) -> None:
    """Adds a file, or a folder, whose name ends in a slash, once."""
    self._names.setdefault(reason, set()).add(name)

  def __str__(self) -> str:
    """Returns how many there are, and a few names for each reason."""
    if not self._names:
      return ''
    count = sum(map(len, self._names.values()))
    groups = (
      f'{names_in_messages.some(names)} ({reason})'
      for reason, names in self._names.items()
    )
    return f'{count} left out: {"; ".join(groups)}'


def reason(name: str, open_: Callable[[], IO[bytes]]) -> str:
  """Returns why a file is not used, and what to do about it.

  Args:
    name: the file's, whose ending is none of `decoding.ENDINGS`.
    open_: opens the file.
  """
  ending = os.path.splitext(name)[1].lower()
  if ending in decoding.LACKING:
    return f'it needs: {decoding.LACKING[ending]}'
  if ending in _OTHER_FORMATS:
    return _OTHER_FORMAT
  if ending == '.zip':
    return _ARCHIVE
  try:
    head = _head(open_)
  except zip_archives.READ_ERRORS as error:
    # Other words than the system's would name the file once more.
    why = getattr(error, 'strerror', None)
    return f'cannot be read: {why}' if why else 'cannot be read'
  if head.startswith(_GIF):
    return _OTHER_FORMAT
  kind = decoding.kind_of(head)
  if kind is None:
    return NO_PHOTO
  inside = decoding.ENDING_OF[kind]
  if inside in decoding.LACKING:
    return f'by its content it needs: {decoding.LACKING[inside]}'
  return f'a photo by its content; let its name end in {inside}'


def is_photo_inside(open_: Callable[[], IO[bytes]]) -> bool:
  """Returns whether a file's content is of a format that is decoded here."""
  try:
    kind = decoding.kind_of(_head(open_))
  except zip_archives.READ_ERRORS:
    return False
  return kind is not None and decoding.ENDING_OF[kind] in decoding.ENDINGS


def _head(open_):
  with open_() as stream:
    return stream.read(decoding.HEAD)
