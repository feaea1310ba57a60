"""What of a manual folder is of no use, and what its name or format must be."""

import pathlib
import re

from carvana_jax.datasets import spec, unused_files
from carvana_jax.datasets.unused_files import UnusedFile

COMPETITION = 'carvana-image-masking-challenge'

# Reasons, each the end of a line that has named the files.
_PLACES = 'photos must be in train/ and masks in train_masks/'
_OTHER = (
  'only train/, train_masks/, test/ and metadata.csv are used, or ZIPs of '
  f'these names, or {COMPETITION}.zip'
)
_ZIP_INSIDE = 'a ZIP among photos or masks is not looked into; unpack it'
_NO_IMAGE = 'by its name that is no image; move it out'
_PHOTO_FORMAT = 'photos must be JPG'
_PHOTO_NAME = (
  'a photo must be named CAR_VIEW.jpg, CAR being 12 digits 0-9 or a-f in lower '
  'case and VIEW 01 to 16, such as 0cdf5b5d0ce1_01.jpg'
)
_MASK_FORMAT = 'masks must be GIF or PNG, which keep their values 0 and 1'
_MASK_NAME = (
  'the mask of a photo CAR_VIEW.jpg must be named CAR_VIEW_mask.gif or .png, '
  'such as 0cdf5b5d0ce1_01_mask.png'
)

# What Kaggle serves besides, notes on the data, and what doctor writes.
_EXPECTED = re.compile(
  r'(sample_submission|train_masks)\.csv(\.zip)?|29bb3ece3180_11\.jpg'
  r'|(readme|license)(\..*)?|report\.csv|suspects\.png'
)
_JPG = ('.jpg', '.jpeg', '.jpe', '.jfif')
_MASKS = ('.gif', '.png')
_IMAGES = (
  *_JPG, *_MASKS, '.tif', '.tiff', '.bmp', '.webp', '.avif', '.heic',
  '.heif', '.hif', '.jxl', '.jp2', '.arw', '.cr2', '.cr3', '.dng', '.nef',
)  # fmt: skip
# As browsers and file managers rename a second copy: 'train (1).zip'.
_RENAMED = re.compile(
  rf'({COMPETITION}|train_masks|train_hq|train|test_hq|test|metadata)(?![a-z_])'
)


def photo(label: str, name: str) -> UnusedFile:
  """Says what is wrong with a file in a folder of photos.

  Args:
    label: where it is.
    name: of the file.
  """
  name = name.lower()
  if reason := _why_no_image(name):
    return UnusedFile(label, reason)
  if pathlib.PurePath(name).stem.endswith('_mask'):
    return UnusedFile(label, _PLACES)
  other = name.endswith(_IMAGES) and not name.endswith(_JPG)
  reason = _PHOTO_FORMAT if other else _PHOTO_NAME
  return UnusedFile(label, reason, name=_named(name, '.jpg'))


def mask(label: str, name: str) -> UnusedFile:
  """Says what is wrong with a file in a folder of masks; see `photo`."""
  name = name.lower()
  if reason := _why_no_image(name):
    return UnusedFile(label, reason)
  other = name.endswith(_IMAGES) and not name.endswith(_MASKS)
  ending = '.gif' if name.endswith('.gif') else '.png'
  reason = _MASK_FORMAT if other else _MASK_NAME
  return UnusedFile(label, reason, name=_named(name, f'_mask{ending}'))


def why_elsewhere(path: pathlib.PurePath) -> str | None:
  """Returns why a file outside of the folders of photos and masks is not used.

  Args:
    path: where it lies in the manual folder or the big archive.

  Returns:
    The reason; None for what is known to be of no use.
  """
  *folders, name = (part.lower() for part in path.parts)
  if _EXPECTED.fullmatch(name):
    return None
  if name.endswith(unused_files.DOWNLOADS):
    return unused_files.UNFINISHED
  renamed = _RENAMED.match(folders[-1] if folders else name)
  if name.endswith(unused_files.ARCHIVES):
    return unused_files.ARCHIVE
  if folders:
    return f'its name must be {renamed[1]}/' if renamed else _PLACES
  if renamed and (renamed[1] == 'metadata' or name.endswith('.zip')):
    ending = '.csv' if renamed[1] == 'metadata' else '.zip'
    return f'its name must be {renamed[1]}{ending}'
  return _PLACES if name.endswith(_IMAGES) else _OTHER


def _why_no_image(name: str) -> str | None:
  """Returns why a file among photos or masks is none, by its name's ending."""
  if name.endswith(unused_files.DOWNLOADS):
    return unused_files.UNFINISHED
  if name.endswith('.zip'):
    return _ZIP_INSIDE
  if name.endswith(unused_files.ARCHIVES):
    return unused_files.ARCHIVE
  has_ending = bool(pathlib.PurePath(name).suffix)
  return _NO_IMAGE if has_ending and not name.endswith(_IMAGES) else None


def _named(name: str, ending: str) -> str:
  """Returns what a file must be named, if its name has a car and a view."""
  stem = pathlib.PurePath(name).stem.removesuffix('_mask')
  return f'{stem}{ending}' if spec.parse_photo(stem) else ''
