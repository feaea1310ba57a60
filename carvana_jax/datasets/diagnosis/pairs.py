"""Photos with their masks, from a Kaggle-style folder or a prepared data set.

Only labelled photos: nobody trains on those that have no masks.
"""

import functools
import io
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import names, reading, spec
from carvana_jax.datasets.carvana import archives
from carvana_jax.datasets.carvana.carvana_dataset_builder import Builder
from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import masks, source
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

CAR, OBJECT = 'car', 'object'  # of the challenge's data, and of others

_HELD = 64  # examples in memory: no fewer than threads that examine them


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

  # Called where a pair is examined: labels, photo and mask of a prepared
  # example are one record, which is then read once.
  pairs: list[Callable[[], Pair]]
  photo_size: tuple[int, int] | None  # (H, W) of all; None: of each its own
  photo_kind: str | None  # mode and format, such as 'RGB JPEG'; None: any
  soft: bool  # whether masks may have values between background and car
  left_out: tuple[str, ...] = ()  # lines on files that are not examined
  thing: str = CAR  # what the masks show
  # How the masks of users' own folders are read, and whether they may have
  # other sizes than their photos; None for other data.
  reading: masks.Reading | None = None
  resize_masks: bool = False


def pairs_in_folder(folder: pathlib.Path) -> Collection:
  """Finds the photos and masks of a folder that `carvana` could be made from.

  Args:
    folder: the competition's files, in any form.

  Raises:
    UserError: there are none, or an archive cannot be read.
  """
  found = archives.find(folder, unlabeled=False)
  pairs = []
  for stem in sorted(found.photos.keys() | found.masks.keys()):
    car_id, view = spec.parse_photo(stem)
    files = found.photos.get(stem), found.masks.get(stem)
    split = spec.split_of(car_id)
    pairs.append(functools.partial(Pair, car_id, view, split, *files))
  return Collection(
    pairs, Builder.PHOTO_SIZE, 'RGB JPEG', soft=False, left_out=found.left_out
  )


def pairs_in_own_folder(data_config: ConfigDict) -> Collection:
  """Finds a user's own photos and masks, and how the masks are read.

  Args:
    data_config: `config.data`, whose `manual_dir` is their folder.

  Raises:
    UserError: as `source.find` and `masks.survey`.
  """
  found = source.find(data_config)
  reading = masks.survey(found.items, data_config.object_values)
  pairs = [
    functools.partial(Pair, *label, place.split, item.photo, item.mask)
    for item, label, place in zip(*found[:3], strict=True)
  ]
  return Collection(
    pairs,
    None,
    None,
    reading.is_soft,
    left_out=(*found.lines, reading.text),
    thing=OBJECT,
    reading=reading,
    resize_masks=data_config.resize_masks,
  )


def pairs_in_dataset(folder: pathlib.Path) -> Collection:
  """Finds the photos and masks of a prepared data set, in its own splits.

  Args:
    folder: the one with the data set's dataset_info.json.

  Raises:
    UserError: the folder is no such data set, or has no masks. Calling one of
      the collection's pairs raises it, too, where a file is damaged.
  """
  if not (folder / 'dataset_info.json').exists():
    raise UserError(
      f'{folder} is no prepared data set{files.absence(folder)}; give --data '
      'the folder that holds dataset_info.json, such as '
      'data/studio/128x192/1.0.1.'
    )
  builder = reading.open_folder(folder)
  lacking = spec.features(spec.ORIGINAL_SIZE).keys() - builder.info.features
  if lacking:
    raise UserError(
      f'{folder} has no {min(lacking)}; give --data a data set that this '
      'project prepared.'
    )
  labelled = [split for split in builder.info.splits if split != 'unlabeled']
  if not labelled:
    raise UserError(
      f'{folder} has no masks, only the split unlabeled; give --data a data '
      'set with other splits.'
    )
  read = _reader(builder, labelled)
  pairs = [
    functools.partial(_pair, read, split, position)
    for split in labelled
    for position in range(builder.info.splits[split].num_examples)
  ]
  size = builder.info.features['image'].shape[:2]
  thing = OBJECT if names.is_own(builder.name) else CAR
  if None in size:
    return Collection(pairs, None, None, soft=True, thing=thing)
  original = size == spec.parse_size(spec.ORIGINAL_SIZE)
  kind = 'RGB JPEG' if original else 'RGB PNG'
  return Collection(pairs, size, kind, soft=not original, thing=thing)


def _reader(
  builder: tfds.core.DatasetBuilder, splits: list[str]
) -> Callable[[str, int], dict[str, Any]]:
  """Returns a function that reads an example, given its split and position."""
  folder = builder.data_path
  try:
    examples = {x: reading.undecoded_examples(builder, x) for x in splits}
  except NotImplementedError as error:  # other files than ArrayRecord
    raise UserError(
      f'{folder} cannot be read in any order; prepare it with '
      "file_format='array_record'."
    ) from error

  # Only the latest: the bytes of all would be too many.
  @functools.lru_cache(_HELD)
  def read(split: str, position: int) -> dict[str, Any]:
    try:
      return examples[split][position]
    except RuntimeError as error:  # what ArrayRecord raises
      raise UserError(
        f'{folder} has a damaged file of the split {split} ({error}); remove '
        'the folder and prepare it again.'
      ) from error

  return read


def _pair(read, split, position):
  """Returns the pair of an example, whose bytes are read when needed."""
  example = read(split, position)
  label = pathlib.PurePosixPath(split, example['filename'].decode())

  def file(feature: str, path: pathlib.PurePosixPath) -> File:
    opener = lambda: io.BytesIO(read(split, position)[feature])
    return File(str(path), path, len(example[feature]), opener)

  car_id, view = example['car_id'].decode(), int(example['view'])
  photo = file('image', label)
  mask = file('mask', label.with_name(f'{label.stem}_mask.png'))
  return Pair(car_id, view, split, photo, mask)
