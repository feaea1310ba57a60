"""What all builders agree on: names, sizes, features, folds and splits."""

import dataclasses
import hashlib
import pathlib
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets.names import ORIGINAL_SIZE, OWN_SIZE
from carvana_jax.system.errors import UserError

VIEWS = 16  # photos of one turn of the turntable, 22.5 degrees apart
FOLDS = 10
TEST_FOLD = 0
VALIDATION_FOLD = 1

# The sizes that TFDS lists; any other can be prepared as well.
SIZES = (
  '128x128',
  '128x192',
  '256x256',
  '256x384',
  '512x512',
  '512x768',
  '1024x1536',
  ORIGINAL_SIZE,  # kept as the original bytes
)

# Of all builders: versions are part of a prepared folder's name.
RELEASE_NOTES = {
  '1.0.0': 'Initial release.',
  '1.0.1': 'The same pixels in PNG without filters, which decode faster.',
}

# What TFDS writes: names, each with the features of its example.
Examples = Iterator[tuple[str, dict[str, Any]]]

_PHOTO = re.compile(r'(?P<car>[0-9a-f]{12})_(?P<view>[0-9]{2})')


class PhotoName(NamedTuple):
  """A photo's place in the data set, as its name tells it."""

  car_id: str  # 12 hexadecimal digits
  view: int  # 1..16


class Preparation(NamedTuple):
  """What it takes to prepare a data set.

  Attributes:
    folder: where the prepared files of all sizes go. Each source has a folder
      of its own, so that two never pass for one.
    options: arguments of the builder's constructor.
    download_config: says where the source's files are; None where the builder
      needs none.
    remember: called once the files are prepared.
    fit: how photos of another shape are brought to a size, see `fitting`.
    lines: what is said of the source.
    train_photos: how many photos the split train will have; None where that
      is not known before they are prepared.
  """

  folder: pathlib.Path
  options: dict[str, Any]
  download_config: tfds.download.DownloadConfig | None
  remember: Callable[[], None] = lambda: None
  fit: str = 'stretch'
  lines: tuple[str, ...] = ()
  train_photos: int | None = None


class SizedBuilder(tfds.core.GeneratorBasedBuilder):
  """A builder whose configs are sizes, of which it lists only some."""

  @classmethod
  def get_builder_config(
    cls, name: str, version: Any = None
  ) -> tfds.core.BuilderConfig:
    """Returns the config of a name, listed or not.

    TFDS gives no version where it asks whether a config of one's own has the
    name of a listed one.
    """
    listed = super().get_builder_config(name, version)
    if listed or version is None:
      return listed
    return dataclasses.replace(
      cls.BUILDER_CONFIGS[0], name=name, description=f'Images of {name} pixels.'
    )


def parse_size(size: str) -> tuple[int, int]:
  """Parses 'HEIGHTxWIDTH' into (height, width).

  Raises:
    UserError: the text is anything else.
  """
  match = re.fullmatch(r'([1-9][0-9]{0,5})x([1-9][0-9]{0,5})', size)
  if not match:
    raise UserError(
      f'size {size!r} is not HEIGHTxWIDTH; use for example 128x192.'
    )
  return int(match[1]), int(match[2])


def parse_photo(stem: str) -> PhotoName | None:
  """Parses '<car>_<view>'; None where the name follows another pattern."""
  match = _PHOTO.fullmatch(stem)
  if not match or not 1 <= int(match['view']) <= VIEWS:
    return None
  return PhotoName(match['car'], int(match['view']))


def photo_name(car_id: str, view: int) -> str:
  """Returns a photo's file name without its ending: `<car>_<01..16>`."""
  return f'{car_id}_{view:02d}'


def stem_of(filename: str) -> str:
  """Returns what files made of a photo are named after: its name, no ending.

  Args:
    filename: the feature, which may have folders: car1/a.jpg.
  """
  return posixpath.splitext(filename)[0]


def fold_of(car_id: str) -> int:
  """Returns the car's fold, 0..9: a hash of its id alone.

  No other car has a say in it, so adding cars to a data set moves none of
  those already there to another split.
  """
  digest = hashlib.md5(f'fold:{car_id}'.encode(), usedforsecurity=False)
  return int(digest.hexdigest(), 16) % FOLDS


def split_of(car_id: str) -> str:
  """Returns the split that all views of a labelled car belong to."""
  names = {TEST_FOLD: 'test', VALIDATION_FOLD: 'validation'}
  return names.get(fold_of(car_id), 'train')


def features(
  size: str, photo_kind: str | None = 'png'
) -> tfds.features.FeaturesDict:
  """Returns the features of one photo, for a builder config of a size.

  Where photos do not keep their own bytes, they are PNG, so that nothing is
  lost twice. `mask` is 0..255: the share of the pixel that is car, where it was
  reduced. In the split `unlabeled` it is all zero.

  Args:
    size: HEIGHTxWIDTH of the pictures; `names.OWN_SIZE` where each has its own.
    photo_kind: png, jpeg, or None where photos are of both.
  """
  height, width = (None, None) if size == OWN_SIZE else parse_size(size)
  photo = tfds.features.Image(
    shape=(height, width, 3), encoding_format=photo_kind
  )
  mask = tfds.features.Image(shape=(height, width, 1), encoding_format='png')
  return tfds.features.FeaturesDict(
    {
      'image': photo,
      'mask': mask,
      'filename': tfds.features.Text(),  # '<car>_<view>.jpg'
      'car_id': tfds.features.Text(),
      'view': tfds.features.Scalar(np.int32),  # 1..16
      'make': tfds.features.Text(),  # '' where the metadata lack the car
      'model': tfds.features.Text(),
      'year': tfds.features.Text(),
      'trim': tfds.features.Text(),
      'fold': tfds.features.Scalar(np.int32),  # 0..9
    }
  )
