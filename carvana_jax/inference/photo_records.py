"""What the files in an output folder are made of: a line of JSON a photo.

    OUTPUT/made_of.jsonl     of a process that makes all photos
    OUTPUT/made_of_3.jsonl   of process 3 of several

A line is written once a photo's files are. Of several lines on one photo the
one with the highest number counts; a line that was cut off does not.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping

from carvana_jax.inference.contents import Content
from carvana_jax.masks.doubt import Doubt
from carvana_jax.system import files

_FILES = 'made_of*.jsonl'
UNKNOWN = '?'  # what a file is made of


@dataclasses.dataclass
class Record:
  """What is known of a photo's files.

  Attributes:
    number: of the line.
    content: what the photo's file held.
    is_empty: whether no car was found in it.
    made: what each of the files is made of, by the ending of its name; also
      files of earlier lines.
    doubt: in the photo's mask; None if an older version made it.
  """

  number: int = 0
  content: Content | None = None
  is_empty: bool = False
  made: dict[str, str] = dataclasses.field(default_factory=dict)
  doubt: Doubt | None = None


class Records:
  """The records of a folder; threads may add to them."""

  def __init__(self, folder: pathlib.Path, index: int | None = None):
    """Reads the records of all processes.

    Args:
      folder: the output folder.
      index: of this process; None if it is the only one.
    """
    name = 'made_of' if index is None else f'made_of_{index}'
    self._path = folder / f'{name}.jsonl'
    self._others = [x for x in folder.glob(_FILES) if x != self._path]
    self._records = {}
    lines = [
      line
      for path in (self._path, *self._others)
      for line in (path.read_bytes().split(b'\n') if path.exists() else ())
    ]
    parsed = filter(None, map(_parsed, lines))
    for name, record in sorted(parsed, key=lambda pair: pair[1].number):
      self._take(name, record)

  def __contains__(self, name: str) -> bool:
    return name in self._records

  def __getitem__(self, name: str) -> Record:
    """Returns the record of a photo, an empty one if there is none."""
    return self._records.get(name, Record())

  def names(self) -> set[str]:
    """Returns the names of the photos, without ending."""
    return set(self._records)

  def add(
    self,
    name: str,
    content: Content,
    is_empty: bool,
    made: dict[str, str],
    doubt: Doubt | None = None,
  ) -> None:
    """Records that a photo's files have been written.

    Args:
      name: of the photo, without ending.
      content: what its file holds.
      is_empty: whether no car was found in it.
      made: what each of the files is made of, by the ending of its name.
      doubt: in its mask.
    """
    record = Record(self[name].number + 1, content, is_empty, made, doubt)
    line = _line(name, record)
    with self._path.open('a+b', buffering=0) as file:
      file.write(b'\n' + line if _is_cut_off(file) else line)
    self._take(name, record)

  def join(self, held: Mapping[str, Content | None]) -> None:
    """Joins the records of processes that have ended to those of this one.

    Args:
      held: what photos hold. Of a copy of a photo the stamp is kept, as it need
        not be read the next time.
    """
    is_new = bool(self._others)
    for name, content in held.items():
      before = self[name].content
      is_same = content and before and content.digest == before.digest
      if is_same and content.stamp not in (None, before.stamp):
        self._records[name].content, is_new = content, True
    if is_new:
      lines = [_line(name, record) for name, record in self._records.items()]
      files.write(self._path, b''.join(lines))
    for path in self._others:
      path.unlink(missing_ok=True)

  def _take(self, name, record):
    before = self[name]
    if before.number == record.number:  # of two processes at once
      for ending in before.made.keys() & record.made.keys():
        if before.made[ending] != record.made[ending]:
          record.made[ending] = UNKNOWN  # nobody knows who was last
    record.made = before.made | record.made
    self._records[name] = record


def _is_cut_off(file):
  """Returns whether the last line of an open file has no end."""
  if not file.seek(0, 2):
    return False
  file.seek(-1, 2)
  return file.read(1) != b'\n'


def _line(name, record):
  fields = {'name': name, **dataclasses.asdict(record)}
  return json.dumps(fields).encode() + b'\n'


def _parsed(line) -> tuple[str, Record] | None:
  """Returns a photo's name and its record; None for a line of no use."""
  try:
    fields = json.loads(line)
    content = Content(*fields.pop('content'))
    name, made = fields.pop('name'), dict(fields.pop('made'))
    doubt = fields.pop('doubt', None)
    doubt = doubt and Doubt(*doubt)
    return name, Record(content=content, made=made, doubt=doubt, **fields)
  except (ValueError, KeyError, TypeError, AttributeError):
    return None
