"""What changes with a file's content, without reading it, as in git's index.

No program can set the time at which a file changed, which is in a stamp.
"""

import os
import time
from typing import IO

# A file may change again without another time. File systems count in steps of
# milliseconds, on some disks of two seconds.
_STEP = 2 * 10**9  # nanoseconds


def of_path(path: str | os.PathLike) -> list[int] | None:
  """Returns the stamp of a file; None also where it cannot be opened."""
  try:
    # Opened, as a network disk asks its server then.
    with open(path, 'rb') as stream:
      return of_stream(stream)
  except OSError:  # it has just been removed, or may not be read
    return None


def of_stream(stream: IO[bytes]) -> list[int] | None:
  """Returns the stamp of an open file; None where the system does not tell.

  Returns:
    Inode, size and times, as for JSON. The last is when anything of the file
    changed, in nanoseconds.
  """
  if os.name == 'nt':  # which tells when a file was made, not when it changed
    return None
  status = os.fstat(stream.fileno())
  return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def is_settled(stamp: list[int] | None) -> bool:
  """Returns whether any change from now on gives a file another stamp."""
  return stamp is not None and stamp[-1] <= time.time_ns() - _STEP
