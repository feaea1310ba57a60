"""Finds the competition's files in whatever form the user has them.

A manual folder may hold, in any mixture:

    train/ train_masks/ test/ metadata.csv           unpacked
    train.zip train_masks.zip test.zip metadata.csv.zip
    carvana-image-masking-challenge.zip              these zips or folders again

or all of it in a folder one level deeper. `train_hq` and `test_hq` stand in
for `train` and `test` where these are absent.
"""

import collections
import csv
import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator

from etils import epath

from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import file_listing
from carvana_jax.datasets.carvana.file_listing import File
from carvana_jax.system.errors import UserError

COMPETITION = 'carvana-image-masking-challenge'
HOMEPAGE = f'https://www.kaggle.com/c/{COMPETITION}'

# The groups of files, each by the names that it may have, best first.
PHOTOS = ('train', 'train_hq')
MASKS = ('train_masks',)
TEST = ('test', 'test_hq')
_GROUPS = frozenset(PHOTOS + MASKS + TEST)
_COLUMNS = ('id', 'year', 'make', 'model', 'trim1', 'trim2')  # metadata.csv

_PHOTO_NAME = re.compile(r'(?P<stem>.+)\.jpg')
_MASK_NAME = re.compile(r'(?P<stem>.+)_mask\.(gif|png)')


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
  """

  photos: dict[str, File]
  masks: dict[str, File]
  test: dict[str, File]
  metadata: dict[str, dict[str, str]]


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
    UserError: an archive or the metadata cannot be read, or a name is there
      twice.
  """
  folder = epath.Path(manual_dir).expanduser()
  files = []
  if folder.is_dir():
    files = list(file_listing.files_in_folder(folder, _GROUPS))
  layers = [files]
  for archive in _nearest(_named(files, f'{COMPETITION}.zip')):
    layers.append(list(file_listing.files_in_archive(archive)))
  photos = _group(layers, PHOTOS, _PHOTO_NAME)
  masks = _group(layers, MASKS, _MASK_NAME)
  if not photos or not masks:
    raise _missing(folder, bool(photos), bool(masks))
  test = _group(layers, TEST, _PHOTO_NAME) if unlabeled else {}
  return Source(photos, masks, test, _metadata(layers))


def fingerprint(source: Source) -> str:
  """Returns 8 hexadecimal digits that tell one set of files from another.

  They depend on the files' names and sizes and on the metadata, but not on
  whether the files are unpacked.
  """
  digest = hashlib.sha256()
  for group in (source.photos, source.masks, source.test):
    sizes = sorted((file.path.name, file.size) for file in group.values())
    digest.update(json.dumps(sizes).encode())
  digest.update(json.dumps(source.metadata, sort_keys=True).encode())
  return digest.hexdigest()[:8]


def _missing(folder: epath.Path, photos: bool, masks: bool) -> UserError:
  there = {'photos': photos, 'masks': masks}
  lacking = [name for name in there if not there[name]]
  return MissingFilesError(
    f'{folder} has no {" and no ".join(lacking)} of the Carvana challenge: it'
    ' must hold train/ and train_masks/ (or train_hq/), or train.zip and'
    f' train_masks.zip, or {COMPETITION}.zip; get them from {HOMEPAGE}/data.'
  )


# Choosing among them.


def _group(
  layers: list[list[File]], names: tuple[str, ...], pattern: re.Pattern[str]
) -> dict[str, File]:
  """Returns the files of the first of the names that any layer has, by stem."""
  for name in names:
    for files in layers:
      found = _by_stem(_unpacked(files, name), pattern)
      found = found or _by_stem(_zipped(files, name), pattern)
      if found:
        return found
  return {}


def _unpacked(files: list[File], name: str) -> list[File]:
  """Returns the files of the folder `name` that is nearest to the root."""
  by_depth = collections.defaultdict(list)
  for file in files:
    folders = file.path.parts[:-1]
    if name in folders:
      by_depth[folders.index(name)].append(file)
  return by_depth[min(by_depth)] if by_depth else []


def _zipped(files: list[File], name: str) -> Iterator[File]:
  """Yields the members of `name`.zip, whatever folders they are in."""
  for archive in _nearest(_named(files, f'{name}.zip')):
    yield from file_listing.files_in_archive(archive)


def _named(files: Iterable[File], name: str) -> list[File]:
  return [file for file in files if file.path.name == name]


def _nearest(files: list[File]) -> list[File]:
  """Returns a list of the one file nearest to the root; empty without files."""
  ordered = sorted(files, key=lambda file: len(file.path.parts))
  depths = [len(file.path.parts) for file in ordered[:2]]
  if len(depths) == 2 and depths[0] == depths[1]:
    raise _twice(*ordered[:2])
  return ordered[:1]


def _twice(first: File, second: File) -> UserError:
  return UserError(
    f'{first} and {second} have the same name: remove one of them.'
  )


def _by_stem(
  files: Iterable[File], pattern: re.Pattern[str]
) -> dict[str, File]:
  """Keys files by stem, and drops those whose names have another pattern."""
  found = {}
  for file in files:
    match = pattern.fullmatch(file.path.name)
    if not match or not spec.parse_photo(stem := match['stem']):
      continue
    if stem in found:
      raise _twice(found[stem], file)
    found[stem] = file
  return found


# Metadata.


def _metadata(layers: list[list[File]]) -> dict[str, dict[str, str]]:
  for files in layers:
    found = _nearest(_named(files, 'metadata.csv'))
    found = found or _named(_zipped(files, 'metadata.csv'), 'metadata.csv')
    if found:
      return _parse_metadata(found[0])
  return {}


def _parse_metadata(file: File) -> dict[str, dict[str, str]]:
  """Reads id,year,make,model,trim1,trim2; `UserError` without a column."""
  try:
    text = file.read().decode('utf-8-sig')  # with or without a BOM
    table = csv.DictReader(io.StringIO(text, newline=''))
    if missing := set(_COLUMNS) - set(table.fieldnames or ()):
      raise KeyError(min(missing))
    return dict(map(_car, table))
  except (UnicodeDecodeError, KeyError, AttributeError, csv.Error) as error:
    raise UserError(
      f'{file} is not a table of id,year,make,model,trim1,trim2 ({error!r}):'
      ' download it again or remove it.'
    ) from error


def _car(row: dict[str, str]) -> tuple[str, dict[str, str]]:
  row = {key: row[key].strip() for key in _COLUMNS}
  return row['id'], {
    'make': row['make'],
    'model': row['model'],
    'year': row['year'],
    'trim': f'{row["trim1"]} {row["trim2"]}'.strip(),
  }
