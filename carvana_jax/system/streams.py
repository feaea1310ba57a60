"""Standard output and error: what to do where one is closed, full or gone."""

import contextlib
import errno
import io
import os
import stat
import sys
from typing import TextIO


class StdoutError(OSError):
  """Standard output can't be written."""


def prepare() -> None:
  """Opens the streams that are closed, and names what fails as standard output.

  A file takes the lowest free number when it is opened. Were that the number of
  a stream, the file would also get what libraries in C say.
  """
  for number in range(3):
    try:
      os.fstat(number)
    except OSError:
      os.open(os.devnull, os.O_RDWR)  # gets the same number
  for name, number in (('stdout', 1), ('stderr', 2)):
    if getattr(sys, name) is None:  # as Python has found it closed
      setattr(sys, name, open(number, 'w', closefd=False))  # noqa: SIM115
  out = sys.stdout
  # Those of Windows' consoles and of tests are of other kinds.
  buffer = getattr(out, 'buffer', None)
  if isinstance(getattr(buffer, 'raw', buffer), io.FileIO):
    sys.stdout = io.TextIOWrapper(
      io.BufferedWriter(_Stdout(out.fileno(), 'w', closefd=False)),
      out.encoding,
      out.errors,
      line_buffering=out.line_buffering or out.write_through,
    )
  # File names may hold characters that the terminal cannot show.
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='backslashreplace')


def give_up(stream: TextIO) -> None:
  """Drops what a stream could not write, and all that is written to it later.

  Python would try once more when it ends, complain, and change the exit code.

  Args:
    stream: standard output or error.
  """
  with contextlib.suppress(OSError):  # it has no number
    number = stream.fileno()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class _Stdout(io.FileIO):
  """Standard output whose errors can be told from those of other files."""

  def write(self, data):
    try:
      return super().write(data)
    except OSError as error:
      number = error.errno
      if number == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode):
        number = errno.EPIPE  # a terminal that has been closed is gone, too
      raise StdoutError(number, os.strerror(number)) from error
