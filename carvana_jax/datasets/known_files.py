"""Which prepared data a manual folder's files belong to, by their content.

DATA_DIR/NAME_files.json, with the name of the data set, remembers the CRC-32 of
unpacked files, as they are too many to be read whenever a command starts; those
of ZIPs are in the ZIPs. A file whose stamp is as it was is taken for unchanged.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from carvana_jax.datasets.file_listing import File
from carvana_jax.system import files, progress, stamps, threads
from carvana_jax.system.errors import UserError

_KINDS = ('crcs', 'prepared', 'adopted')


class Origin(NamedTuple):
  """The files that a data set is made from.

  Attributes:
    manual_dir: the folder that they are in.
    groups: files by names that tell them apart: photos, masks and others.
    mark: 8 hexadecimal digits that follow from all that their contents don't
      tell, such as their names.
    part: what tells parts of the folder's files that are prepared each by
      itself.
  """

  manual_dir: pathlib.Path
  groups: Sequence[Mapping[str, File]]
  mark: str
  part: str = ''


class KnownFiles:
  """What is remembered of the files that data sets were prepared from.

  Attributes:
    folder: the name of the folder of all data prepared from them.
    replaces: the one of what the manual folder held before; None if it holds
      the same, or nothing has been prepared from it.
    news: lines that say so, until something has been prepared.
  """

  def __init__(self, root: pathlib.Path, dataset: str, origin: Origin):
    """Compares the files with what is remembered.

    Args:
      root: the folder of all prepared data, which may not exist.
      dataset: the name of the data set.
      origin: the files.
    """
    self._path = root / f'{dataset}_files.json'
    self._text, self._notes = _read(self._path)
    self._place = f'{os.path.realpath(origin.manual_dir)}{os.sep}'
    self._looked_at = set()
    self.folder = self._folder(root, f'{dataset}-{origin.mark}', origin.groups)
    self._key = f'{self._place}{origin.part}'
    before = self._notes['prepared'].get(self._key, self.folder)
    self.replaces = None if before == self.folder else before
    self.news = ()
    if self.replaces and not (root / self.folder).exists():
      self.news = (
        f'{origin.manual_dir} has changed since {before} was made from it',
      )

  def remember(self) -> None:
    """Keeps what is known, now that data have been prepared."""
    self._notes['prepared'][self._key] = self.folder
    self._notes['crcs'] = {
      key: noted
      for key, noted in self._notes['crcs'].items()
      if key in self._looked_at
      or not key.startswith(self._place)
      or os.path.exists(key)
    }
    text = json.dumps(self._notes)
    if text == self._text:
      return
    with contextlib.suppress(OSError):  # the disk is full, or may only be read
      files.write(self._path, text)

  def _folder(
    self, root: pathlib.Path, old: str, groups: Sequence[Mapping[str, File]]
  ) -> str:
    is_old = (root / old).exists()
    adopted = self._notes['adopted']
    # Of a version that did not look at the content: taken for that of today,
    # which is read only where it can be noted.
    if is_old and old not in adopted and not os.access(root, os.W_OK):
      return old
    content = self._digest(groups)
    new = f'{old}-{content}'
    if (root / new).exists() or not is_old:
      return new
    return old if adopted.setdefault(old, content) == content else new

  def _digest(self, groups: Sequence[Mapping[str, File]]) -> str:
    """Returns 8 hexadecimal digits that follow from all contents."""
    digest = hashlib.sha256()
    for group in groups:
      stems = sorted(group)
      crcs = self._crcs([group[stem] for stem in stems])
      digest.update(json.dumps([stems, crcs]).encode())
    return digest.hexdigest()[:8]

  def _crcs(self, found: Sequence[File]) -> list[int | None]:
    """Returns the files' CRC-32; None for those that cannot be read."""
    unpacked = [file for file in found if file.place]
    crcs = progress.bar(
      threads.ordered_map(self._crc, unpacked),
      total=len(unpacked),
      unit='file',
      title='what has changed',
    )
    known = dict(zip(map(self._key_of, unpacked), crcs, strict=True))
    self._looked_at |= known.keys()
    return [
      known[self._key_of(file)] if file.place else file.crc for file in found
    ]

  def _crc(self, file: File) -> int | None:
    """Returns the CRC-32 of an unpacked file, which it reads if need be."""
    key, stamp = self._key_of(file), stamps.of_path(file.place)
    *before, crc = self._notes['crcs'].get(key) or (None,)
    if stamp and stamp == before:
      return crc
    try:
      crc = zlib.crc32(file.read())
    except UserError:  # said with the others when all are checked
      return None
    if stamps.is_settled(stamp):
      self._notes['crcs'][key] = [*stamp, crc]
    return crc

  def _key_of(self, file: File) -> str:
    return f'{self._place}{file.path}'


def _read(path: pathlib.Path) -> tuple[str, dict[str, Any]]:
  """Returns the text and what it says; nothing where it is damaged."""
  try:
    text = path.read_text()
    notes = json.loads(text)
    kinds = [notes[kind].values() for kind in _KINDS]
    if all(isinstance(crc, list) and crc for crc in kinds[0]):
      return text, notes
  except (OSError, ValueError, LookupError, TypeError, AttributeError):
    pass
  return '', {key: {} for key in _KINDS}
