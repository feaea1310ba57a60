"""Photos with their masks, out of a Kaggle-style folder or a prepared data set.

Only labelled photos: nobody trains on those that have no masks.
"""

import io
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow_datasets as tfds

from carvana_jax.datasets import spec, workers
from carvana_jax.datasets.carvana import source
from carvana_jax.datasets.carvana.source import File
from carvana_jax.errors import UserError


class Pair(NamedTuple):
  """A photo and its mask, of which one may be missing."""

  car_id: str
  view: int  # 1..16
  split: str
  photo: File | None
  mask: File | None

  def __str__(self) -> str:
    return str(self.photo or self.mask)


class Collection(NamedTuple):
  """What is examined, and what holds for all of it."""

  pairs: list[Pair]
  photo_kind: str  # mode and format of its photos, such as 'RGB JPEG'
  soft: bool  # whether masks may have values between background and car


def in_folder(folder: pathlib.Path) -> Collection:
  """The photos and masks of a folder that `carvana` could be made from.

  Raises:
    UserError: there are none, or an archive cannot be read.
  """
  found = source.find(folder, unlabeled=False)
  pairs = []
  for stem in sorted(found.photos.keys() | found.masks.keys()):
    car_id, view = spec.parse_photo(stem)
    files = found.photos.get(stem), found.masks.get(stem)
    pairs.append(Pair(car_id, view, spec.split_of(car_id), *files))
  return Collection(pairs, 'RGB JPEG', soft=False)


def in_dataset(folder: pathlib.Path) -> Collection:
  """The photos and masks of a prepared data set, in its own splits.

  Raises:
    UserError: the folder is no such data set.
  """
  if not (folder / 'dataset_info.json').exists():
    raise UserError(
      f'{folder} is no prepared data set; give --data the folder that holds '
      'dataset_info.json, such as data/studio/128x192/1.0.0.'
    )
  builder = tfds.builder_from_directory(folder)
  lacking = spec.features(spec.ORIGINAL_SIZE).keys() - builder.info.features
  if lacking:
    raise UserError(
      f'{folder} has no {min(lacking)}; give --data a data set that this '
      'project prepared.'
    )
  try:
    pairs = [
      pair
      for split in builder.info.splits
      if split != 'unlabeled'
      for pair in _in_split(builder, split)
    ]
  except NotImplementedError as error:  # other files than ArrayRecord
    raise UserError(
      f'{folder} cannot be read in any order; prepare it with '
      "file_format='array_record'."
    ) from error
  original = builder.info.features['image'].shape[:2] == spec.parse_size(
    spec.ORIGINAL_SIZE
  )
  kind = 'RGB JPEG' if original else 'RGB PNG'
  return Collection(pairs, kind, soft=not original)


def _in_split(builder: tfds.core.DatasetBuilder, split: str) -> Iterator[Pair]:
  skip = tfds.decode.SkipDecoding()
  examples = builder.as_data_source(
    split, decoders={'image': skip, 'mask': skip}
  )

  def pair(position: int) -> Pair:
    # Bytes are read again when they are looked at: all would be too many.
    def read(feature: str) -> Callable[[], io.BytesIO]:
      return lambda: io.BytesIO(examples[position][feature])

    example = examples[position]
    label = pathlib.PurePosixPath(split, example['filename'].decode())
    photo, mask = (
      File(str(path), path, len(example[feature]), read(feature))
      for feature, path in (
        ('image', label),
        ('mask', label.with_name(f'{label.stem}_mask.png')),
      )
    )
    car_id, view = example['car_id'].decode(), int(example['view'])
    return Pair(car_id, view, split, photo, mask)

  return workers.ordered_map(pair, range(len(examples)))
