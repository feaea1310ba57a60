"""Submissions to Kaggle's Carvana challenge: a row an image, `img,rle_mask`.

A complete one has 100,064 rows and 300 to 700 MB, so it is read row by row;
`rle.py` says what is in `rle_mask`.
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
import pathlib
import re
import reprlib
import zipfile
from collections.abc import Collection, Iterator

from carvana_jax.submission import rle
from carvana_jax.system import zip_archives
from carvana_jax.system.errors import UserError

_COLUMNS = ['img', 'rle_mask']
HEADER = ','.join(_COLUMNS) + '\n'

# The challenge's photos: a car's id, and its views from 1 to 16.
_NAME = re.compile('[0-9a-f]{12}_(0[1-9]|1[0-6])[.]jpg')
_BOM = b'\xef\xbb\xbf'
_GZIP, _ZIP = b'\x1f\x8b', b'PK\x03\x04'  # how these files start
_BUFFER = 2**20  # bytes
# Runs of one pixel each all over 1280x1918 are 25 MB.
_LONGEST = 2**26  # bytes in a line
_SHOWN = 10  # names that are missing
_UNLIKELY = 16  # empty masks, as many as a car has views, and no other


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
  """One thing that Kaggle would refuse; `str()` is a line for the user."""

  line: int | None  # from 1 on; None where a row is missing
  img: str  # as in the file; '' in the header
  reason: str

  def __str__(self) -> str:
    line = f'line {self.line}: ' if self.line else ''
    # A row without a comma is all name, and may be a long one.
    img = f'{reprlib.repr(self.img)} ' if self.img else ''
    return f'{line}{img}{self.reason}'


def row(img: str, runs: str) -> str:
  """Returns a line of a submission.

  Args:
    img: the name of the photo's file, `<car>_<view>.jpg`.
    runs: the mask from `rle.encode`.

  Raises:
    UserError: the name would be taken for more than one column or line.
  """
  if any(mark in img for mark in ',"\r\n'):
    raise UserError(
      f'{img!r} has a comma, a quote or a line break, which a submission '
      'cannot hold; rename that photo.'
    )
  return f'{img},{runs}\n'


def is_of_challenge(img: str) -> bool:
  """Returns whether a photo of the challenge may have that name."""
  return _NAME.fullmatch(img) is not None


def find_problems(
  path: pathlib.Path, names: Collection[str] | None, size: tuple[int, int]
) -> Iterator[Problem]:
  """Finds what Kaggle would refuse in a submission.

  Rows may be in any order, and fields in quotes; lines may end as on Windows,
  and the file may start with a byte order mark.

  Args:
    path: a csv, as it is or in a gzip or zip file.
    names: the `img` of every row that is expected; None for any that may be
      the challenge's.
    size: (H, W) of the masks.

  Yields:
    The problems in the order of lines, of which a row may have several; then
    the names that are missing, which are only counted after the first ten.

  Raises:
    UserError: the file can't be read, is damaged or no text. It is raised while
      iterating, as damage may lie at the file's end.
  """
  known = None if names is None else frozenset(names)
  first_lines = {}  # the line of every name
  rows = _rows(path)
  line, fields = next(rows, (1, []))
  header = line
  if fields != _COLUMNS:
    yield _header_problem(line, fields)
    if _is_of_image(fields):
      rows = itertools.chain([(line, fields)], rows)
  empty, is_mask_there = 0, False
  for line, fields in rows:
    is_empty = fields[1:] == ['']
    empty, is_mask_there = empty + is_empty, is_mask_there or not is_empty
    yield from _row_problems(line, fields, known, size, first_lines)
  if fields == _COLUMNS and line == header:
    yield Problem(None, '', 'there is no row')
  elif empty >= _UNLIKELY and not is_mask_there:
    yield Problem(None, '', f'all {empty} masks are empty')
  if known is not None:
    yield from _missing(sorted(known - first_lines.keys()))


def names_of(path: pathlib.Path) -> list[str]:
  """Reads the names in a sample_submission.csv, in its order.

  Args:
    path: the csv, as it is or in a gzip or zip file; nothing is extracted.

  Returns:
    The `img` of every row, all different.

  Raises:
    UserError: the file can't be read, its header or a name is wrong, or it has
      no names.
  """
  rows = _rows(path)
  _, fields = next(rows, (1, []))
  if fields != _COLUMNS:
    raise UserError(
      f'{path} does not start with {",".join(_COLUMNS)}; give the '
      'sample_submission.csv of the challenge.'
    )
  names = {}
  for line, fields in rows:
    for problem in _name_problems(line, fields[0], None, names):
      raise UserError(f'{path}, {problem}; download it again.')
  if not names:
    raise UserError(f'{path} names no image; download it again.')
  return list(names)


def _header_problem(line, fields):
  wanted = ','.join(_COLUMNS)
  if not fields or _is_of_image(fields):
    return Problem(line, '', f'the header {wanted} is missing')
  found = reprlib.repr(','.join(fields))
  return Problem(line, '', f'the header is {found}, not {wanted}')


def _is_of_image(fields):
  return bool(fields) and fields[0].endswith('.jpg')


def _row_problems(line, fields, known, size, first_lines):
  img = fields[0]
  yield from _name_problems(line, img, known, first_lines)
  if len(fields) != 2:
    yield Problem(line, img, f'needs 2 columns, not {len(fields)}')
    return
  if known is None and img and not is_of_challenge(img):
    yield Problem(line, img, 'is not named as 0cdf5b5d0ce1_01.jpg is')
  try:
    runs = rle.runs(fields[1], size)
  except ValueError as error:
    yield Problem(line, img, f'has a wrong mask: {error}')
    return
  if rle.are_down_columns(runs, size):
    yield Problem(
      line, img, 'has runs down the columns; count pixels along the rows'
    )


def _name_problems(line, img, known, first_lines):
  """Yields what is wrong with a name, and notes the line of a new one."""
  if not img:
    yield Problem(line, img, 'has no name')
  elif known is not None and img not in known:
    yield Problem(line, img, 'is not the name of an expected image')
  elif first_lines.setdefault(img, line) != line:
    yield Problem(line, img, f'is in line {first_lines[img]} already')


def _missing(names):
  for name in names[:_SHOWN]:
    yield Problem(None, name, 'has no row')
  if len(names) > _SHOWN:
    yield Problem(None, '', f'{len(names) - _SHOWN} more images have no row')


# Files.


def _rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
  """Yields the number and the fields of every line that isn't blank.

  A comma or a line break ends a field in quotes, too: neither names nor runs
  have any. The csv module would double the time of a check, and a quote without
  its counterpart would make it read the rest of the file into one field.
  """
  for number, line in enumerate(_lines(path), 1):
    line = line.rstrip(b'\r\n')
    if number == 1:
      line = line.removeprefix(_BOM)
    if b'\0' in line:
      raise _no_csv(path, f'line {number} holds a zero byte, as in UTF-16')
    try:
      fields = line.decode().split(',')
    except UnicodeDecodeError:
      raise _no_csv(path, f'line {number} is not text in UTF-8') from None
    if line:
      yield number, [_unquoted(field) for field in fields]


def _unquoted(field):
  if len(field) > 1 and field[0] == field[-1] == '"':
    return field[1:-1]
  return field


def _lines(path: pathlib.Path) -> Iterator[bytes]:
  """Yields a file's lines, of which only one is in memory."""
  try:
    with contextlib.ExitStack() as opened:
      stream = opened.enter_context(path.open('rb', _BUFFER))
      stream = _unpacked(path, stream, opened)
      while line := stream.readline(_LONGEST):
        if len(line) == _LONGEST:
          raise _no_csv(path, f'a line has more than {_LONGEST >> 20} MB')
        yield line
  except zip_archives.READ_ERRORS as error:
    reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())
    raise UserError(
      f'{path} cannot be read ({reason or type(error).__name__}); make or '
      'download it again.'
    ) from error


def _unpacked(path, stream, opened):
  """Returns the csv in a file, whatever the file's ending says."""
  start = stream.peek(4)
  if start.startswith(_GZIP):
    unpacked = gzip.GzipFile(fileobj=stream)
  elif start.startswith(_ZIP):
    archive = opened.enter_context(zipfile.ZipFile(stream))
    unpacked = archive.open(_csv_member(path, archive))
  else:
    return stream
  return opened.enter_context(io.BufferedReader(unpacked, _BUFFER))


def _csv_member(path, archive):
  """Returns the one csv of a zip, beside which systems may have put litter."""
  found = [
    info
    for info in archive.infolist()
    if info.filename.lower().endswith('.csv')
    and not zip_archives.is_litter(info.filename.split('/'))
  ]
  if len(found) != 1:
    raise UserError(
      f'{path} holds {len(found)} csv files instead of 1; give the csv itself.'
    )
  return found[0]


def _no_csv(path, reason):
  return UserError(
    f'{path} is not a csv: {reason}; give a csv of {",".join(_COLUMNS)}, '
    'which may be in a gzip or zip file.'
  )
