"""Files of a folder of data that are of no use, and why, in a line each."""

import collections
from collections.abc import Iterable
from typing import NamedTuple

from carvana_jax.system import names_in_messages

# Reasons, each the end of a line that has named the files.
DEEP = 'folders so deep are not looked into; move their files up'
OUTSIDE = 'the path leads out of the archive; pack it again'
NO_FILE = 'that is a link to nowhere, a pipe or a device'
UNFINISHED = 'that is an unfinished download; download it again'
ARCHIVE = 'of archives only ZIPs are read; unpack it'

# How the names of such files end.
DOWNLOADS = ('.crdownload', '.part', '.partial', '.download')
ARCHIVES = (
  '.7z', '.rar', '.tar', '.gz', '.tgz', '.bz2', '.tbz', '.xz', '.txz', '.zst',
)  # fmt: skip


class UnusedFile(NamedTuple):
  """A file or folder that is not used."""

  file: str  # where it is, as `File` has it
  reason: str
  count: int = 1  # of files, in a folder
  name: str = ''  # what it must be named, where that is known


def lines(unused: Iterable[UnusedFile]) -> list[str]:
  """Returns a line for each reason, with the number and some of its files."""
  by_reason = collections.defaultdict(list)
  for one in unused:
    by_reason[one.reason].append(one)
  return [_line(reason, found) for reason, found in by_reason.items()]


def _line(reason: str, found: list[UnusedFile]) -> str:
  count = sum(one.count for one in found)
  files = names_in_messages.some(one.file for one in found)
  verb = 'files are' if count > 1 else 'file is'
  line = f'{count} {verb} left out ({files}): {reason}'
  for file, _, _, name in sorted(found):
    if name:
      return f'{line}; {names_in_messages.printable(file)} should be {name}'
  return line
