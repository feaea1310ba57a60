"""Finds the competition's files in whatever form the user has them.

A manual folder may hold, in any mixture:

    train/ train_masks/ test/ metadata.csv           unpacked
    train.zip train_masks.zip test.zip metadata.csv.zip
    carvana-image-masking-challenge.zip              these zips or folders again

or all of it in a folder one level deeper. `train_hq` and `test_hq` stand in
for `train` and `test` where these are absent. Case does not matter, but in the
ids of cars. What is of no use is named, with what its name or format must be.
"""

import collections
import csv
import dataclasses
import hashlib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator

from etils import epath

from carvana_jax.datasets import file_listing, spec, unused_files
from carvana_jax.datasets.carvana import left_out
from carvana_jax.datasets.carvana.left_out import COMPETITION
from carvana_jax.datasets.file_listing import File, Listing
from carvana_jax.datasets.unused_files import UnusedFile
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

HOMEPAGE = f'https://www.kaggle.com/c/{COMPETITION}'

# The groups of files, each by the names that it may have, best first.
PHOTOS = ('train', 'train_hq')
MASKS = ('train_masks',)
TEST = ('test', 'test_hq')
_GROUPS = frozenset(PHOTOS + MASKS + TEST)
_COLUMNS = ('id', 'year', 'make', 'model', 'trim1', 'trim2')  # metadata.csv

_METADATA = 'metadata.csv'
_USED = frozenset(
  {f'{name}.zip' for name in (*_GROUPS, _METADATA, COMPETITION)} | {_METADATA}
)

_PHOTO_NAME = re.compile(r'(?P<stem>.+)\.(jpg|jpeg|jpe|jfif)', re.IGNORECASE)
_MASK_NAME = re.compile(r'(?P<stem>.+)_mask\.(gif|png)', re.IGNORECASE)


class MissingFilesError(UserError):
  """The manual folder lacks the photos or the masks."""


@dataclasses.dataclass(frozen=True)
class Source:
  """The files that a data set is made from, by the photo's `<car>_<view>`.

  Attributes:
    photos: of labelled cars.
    masks: of the same photos.
    test: photos without masks.
    metadata: {car id: its make, model, year and trim}.
    left_out: lines that name what is of no use, and say why.
  """

  photos: dict[str, File]
  masks: dict[str, File]
  test: dict[str, File]
  metadata: dict[str, dict[str, str]]
  left_out: tuple[str, ...] = ()


def find(manual_dir: epath.PathLike, unlabeled: bool) -> Source:
  """Finds the files; opens archives, but reads no image.

  Archives inside the one big archive are copied to nameless temporary files
  (in `$TMPDIR`), which vanish with the returned `Source`. That of the test
  images, 8 GB in the full set, is copied only if `unlabeled`.

  Args:
    manual_dir: the folder that the user put the competition's files into.
    unlabeled: whether to look for the test images, too.

  Returns:
    The files. It may have no test images and no metadata.

  Raises:
    MissingFilesError: there are no photos or no masks.
    UserError: the folder is a URL, an archive or the metadata cannot be read, a
      file is encrypted, or a name is there twice.
  """
  files.refuse_no_path(str(manual_dir))
  folder = epath.Path(manual_dir).expanduser()
  finder = _Finder(folder)
  photos = finder.group(PHOTOS, _PHOTO_NAME, left_out.photo)
  masks = finder.group(MASKS, _MASK_NAME, left_out.mask)
  if not photos or not masks:
    lines = unused_files.lines(finder.left_out)
    raise _missing(folder, bool(photos), bool(masks), lines)
  test = {}
  if unlabeled:
    test = finder.group(TEST, _PHOTO_NAME, left_out.photo)
  metadata = finder.metadata()
  lines = tuple(unused_files.lines(finder.left_out))
  return Source(photos, masks, test, metadata, lines)


def fingerprint(source: Source) -> str:
  """Returns 8 hexadecimal digits that tell one set of files from another.

  They depend on the files' names and sizes and on the metadata, but not on
  whether the files are unpacked.
  """
  digest = hashlib.sha256()
  for group in (source.photos, source.masks, source.test):
    named = ((file.path.name.lower(), file.size) for file in group.values())
    sizes = sorted(named)
    digest.update(json.dumps(sizes).encode())
  digest.update(json.dumps(source.metadata, sort_keys=True).encode())
  return digest.hexdigest()[:8]


def _missing(
  folder: epath.Path, photos: bool, masks: bool, lines: list[str]
) -> UserError:
  there = {'photos': photos, 'masks': masks}
  lacking = [name for name in there if not there[name]]
  known = f'{folder} has no {" and no ".join(lacking)} of the Carvana challenge'
  if lines:
    return MissingFilesError(f'{known}: {"; ".join(lines)}.')
  if not folder.is_dir():
    known += (
      f', as it {"is no folder" if folder.exists() else "does not exist"}'
    )
  return MissingFilesError(
    f'{known}: it must hold train/ and train_masks/ (or train_hq/), or'
    f' train.zip and train_masks.zip, or {COMPETITION}.zip; get them from'
    f' {HOMEPAGE}/data.'
  )


class _Finder:
  """Chooses among the files of a folder, and remembers what is of no use."""

  def __init__(self, folder: epath.Path):
    """Lists the files of the folder and, without opening more, of the big ZIP.

    Raises:
      UserError: that ZIP cannot be read, or is there twice.
    """
    self.left_out: list[UnusedFile] = []
    self._layers: list[list[File]] = []
    if folder.is_dir():
      self._add(file_listing.files_in_folder(folder, _GROUPS))
      for archive in self._nearest(self._layers[0], f'{COMPETITION}.zip'):
        self._add(file_listing.files_in_archive(archive))

  def _add(self, listing: Listing) -> None:
    self._layers.append(listing.files)
    self.left_out += listing.left_out
    self.left_out += _elsewhere(listing.files)

  def group(
    self,
    names: tuple[str, ...],
    pattern: re.Pattern[str],
    wrong: Callable[[str, str], UnusedFile],
  ) -> dict[str, File]:
    """Returns the files of the first of the names that any layer has, by stem.

    Args:
      names: of the group, the best first.
      pattern: of the files' names.
      wrong: says, of a file's label and name, what is wrong with it.

    Raises:
      UserError: an archive cannot be read, a file is locked in one, or a name
        is there twice.
    """
    for name in names:
      for layer in self._layers:
        near, far = _unpacked(layer, name)
        found = self._by_stem(near, pattern, wrong)
        if found:
          far += self._zipped_if_readable(layer, name)
        else:
          found = self._by_stem(self._zipped(layer, name), pattern, wrong)
        if found:
          self._leave_out_others(far, found, pattern)
          return found
    return {}

  def metadata(self) -> dict[str, dict[str, str]]:
    """Returns what the first metadata.csv of any layer says of each car."""
    for layer in self._layers:
      found = self._nearest(layer, _METADATA)
      found = found or _named(self._zipped(layer, _METADATA), _METADATA)
      if found:
        return _parse_metadata(found[0])
    return {}

  def _zipped(self, files: list[File], name: str) -> list[File]:
    """Returns the members of `name`.zip, whatever folders they are in."""
    members = []
    for archive in self._nearest(files, f'{name}.zip'):
      listing = file_listing.files_in_archive(archive)
      self.left_out += listing.left_out
      members += listing.files
    return members

  def _zipped_if_readable(self, files: list[File], name: str) -> list[File]:
    try:
      return self._zipped(files, name)
    except UserError:  # it is of no use, as its files are unpacked
      return []

  def _nearest(self, files: list[File], name: str) -> list[File]:
    """Returns a list of the one such file nearest to the root, or of none."""
    found = _named(files, name)
    ordered = sorted(found, key=lambda file: len(file.path.parts))
    depths = [len(file.path.parts) for file in ordered[:2]]
    if len(depths) == 2 and depths[0] == depths[1]:
      raise _twice(*ordered[:2])
    instead = _instead(ordered[0].label) if ordered else ''
    self.left_out += [UnusedFile(str(file), instead) for file in ordered[1:]]
    return ordered[:1]

  def _by_stem(
    self,
    files: Iterable[File],
    pattern: re.Pattern[str],
    wrong: Callable[[str, str], UnusedFile],
  ) -> dict[str, File]:
    """Keys files by stem; leaves out those whose names have another pattern."""
    found = {}
    for file in files:
      stem = _stem(file, pattern)
      if not stem:
        self.left_out.append(wrong(str(file), file.path.name))
        continue
      if stem in found:
        raise _twice(found[stem], file)
      file.refuse_locked()
      found[stem] = file
    return found

  def _leave_out_others(
    self,
    others: Iterable[File],
    found: dict[str, File],
    pattern: re.Pattern[str],
  ) -> None:
    """Leaves out the files that would be used if it were not for the found."""
    first = next(iter(found.values()))
    instead = _instead(first.label.removesuffix(first.path.name))
    for file in others:
      stem = _stem(file, pattern)
      if stem and stem not in found:
        self.left_out.append(UnusedFile(str(file), instead))


def _elsewhere(files: list[File]) -> Iterator[UnusedFile]:
  """Yields what is neither in a group's folder nor known by its name."""
  counts = collections.Counter()
  for file in files:
    name = file.path.name.lower()
    if _owner(file) or name in _USED:
      continue
    if reason := left_out.why_elsewhere(file.path):
      folder = file.label.removesuffix(file.path.name)
      inside = len(file.path.parts) > 1
      counts[folder if inside else file.label, reason] += 1
  for (label, reason), count in counts.items():
    yield UnusedFile(label, reason, count)


def _owner(file: File) -> str | None:
  """Returns the group that a file is in: the innermost such folder."""
  folders = [part.lower() for part in file.path.parts[:-1]]
  return next((x for x in reversed(folders) if x in _GROUPS), None)


def _unpacked(files: list[File], name: str) -> tuple[list[File], list[File]]:
  """Returns the files of the folder `name` nearest to the root, and others."""
  by_depth = collections.defaultdict(list)
  for file in files:
    if _owner(file) == name:
      folders = [part.lower() for part in file.path.parts]
      by_depth[folders.index(name)].append(file)
  groups = [by_depth[depth] for depth in sorted(by_depth)]
  near = groups[0] if groups else []
  return near, list(itertools.chain(*groups[1:]))


def _named(files: Iterable[File], name: str) -> list[File]:
  return [file for file in files if file.path.name.lower() == name]


def _twice(first: File, second: File) -> UserError:
  return UserError(
    f'{first} and {second} have the same name: remove one of them.'
  )


def _instead(label: str) -> str:
  return f'{label} is used instead; put the files into one place'


def _stem(file: File, pattern: re.Pattern[str]) -> str | None:
  """Returns the photo's `<car>_<view>`; None where the name is another."""
  match = pattern.fullmatch(file.path.name)
  if match and spec.parse_photo(match['stem']):
    return match['stem']
  return None


# Metadata.


def _parse_metadata(file: File) -> dict[str, dict[str, str]]:
  """Reads id,year,make,model,trim1,trim2; `UserError` without a column."""
  text = files.utf8_text(file.read(), str(file))
  table = csv.DictReader(io.StringIO(text, newline=''))
  try:
    if missing := [x for x in _COLUMNS if x not in (table.fieldnames or ())]:
      raise ValueError(f'there is no column {missing[0]}')
    return dict(map(_car, table))
  except (ValueError, csv.Error) as error:
    line = max(table.line_num, 1)
    raise UserError(
      f'{file} is not a table of id,year,make,model,trim1,trim2 (line {line}:'
      f' {error}): download it again or remove it.'
    ) from error


def _car(row: dict[str, str]) -> tuple[str, dict[str, str]]:
  if any(row[key] is None for key in _COLUMNS):
    raise ValueError('there are too few columns')
  row = {key: row[key].strip() for key in _COLUMNS}
  return row['id'], {
    'make': row['make'],
    'model': row['model'],
    'year': row['year'],
    'trim': f'{row["trim1"]} {row["trim2"]}'.strip(),
  }
