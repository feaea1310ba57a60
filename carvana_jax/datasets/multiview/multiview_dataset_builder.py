"""Another data set's photos, cropped to the car, as a TFDS data set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import folds, images, reading, spec
from carvana_jax.datasets.multiview import cropping
from carvana_jax.datasets.names import is_own
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

_DESCRIPTION = """
The photos of another data set, each compared with all views of its car: cropped
to the car without a look at its mask, with the difference from the median over
the views, which shows the empty studio. Splits and order are those of the other
data set.
"""


_REMEDY = 'set config.data.groups, or config.data.multiview=False.'


class Builder(spec.SizedBuilder):
  """Derives the crops from a prepared data set, a car at a time.

  The features are those of the source and `difference`, |photo - median over
  the car's views|, and `box`: top, left, bottom, right in the source's pixels,
  the last two exclusive. `image`, `difference` and `mask` show what is in the
  box, as HEIGHTxWIDTH pixels, which the builder config names; so a car's width
  and height are stretched differently.
  """

  VERSION = tfds.core.Version('1.0.1')
  RELEASE_NOTES = spec.RELEASE_NOTES
  BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own
    tfds.core.BuilderConfig(name=size, description=f'Crops of {size} pixels.')
    for size in ('64x96', '100x100', *spec.SIZES)
    if size != spec.ORIGINAL_SIZE
  ]

  def __init__(self, *, source: tfds.core.DatasetBuilder, **kwargs: Any):
    """Constructs the builder.

    Args:
      source: the data set with the photos, prepared in random-access files at
        its full size. Its name is not in the folder of the result, so give each
        source its own `data_dir`.
      **kwargs: arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    self._source = source
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    shape = (*self._size, 3)
    features = {
      **spec.features(self.builder_config.name),
      'difference': tfds.features.Image(shape=shape, encoding_format='png'),
      'box': tfds.features.Tensor(shape=(4,), dtype=np.int32),
    }
    return self.dataset_info_from_configs(
      description=_DESCRIPTION, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, spec.Examples]:
    del dl_manager  # nothing to download
    return {
      split: self._generate_examples(split)
      for split in self._source.info.splits
    }

  def _generate_examples(self, split: str) -> spec.Examples:
    """Yields (name, example) for all views of a car, then of the next."""
    source = reading.undecoded_examples(self._source, split)
    cars = folds.cars_of(source)
    if is_own(self._source.name):
      _refuse_sizes(cars, split)
    for positions in cars.values():
      yield from self._crop_car([source[position] for position in positions])

  def _crop_car(self, examples: list[Mapping[str, Any]]) -> spec.Examples:
    """Yields (name, example), in their order, for the views of one car."""
    photos = list(
      threads.ordered_map(
        lambda example: images.decode_photo(example['image']), examples
      )
    )
    _refuse_unlike(examples, photos)
    crops = cropping.views(photos, *self._size)

    def crop(pair):
      example, view = pair
      mask = images.decode_mask(example['mask'])
      # The source's own keys, and so its order.
      name = spec.photo_name(example['car_id'].decode(), int(example['view']))
      return name, {
        **example,
        'image': images.encode_png(view.image),
        'mask': images.encode_png(cropping.cut(mask, view.box, *self._size)),
        'difference': images.encode_png(view.difference),
        'box': view.box,
      }

    return threads.ordered_map(crop, zip(examples, crops, strict=True))

  @property
  def _size(self) -> tuple[int, int]:
    return spec.parse_size(self.builder_config.name)


def _refuse_sizes(groups: Mapping[str, list[int]], split: str) -> None:
  """Refuses groups of own photos that are too large, or all too small."""
  largest = max(groups, key=lambda x: len(groups[x]))
  count = len(groups[largest])
  if count > cropping.MOST_VIEWS:
    raise UserError(
      f'the group {largest} has {count} photos, of which no more than '
      f'{cropping.MOST_VIEWS} can be compared; {_REMEDY}'
    )
  if count == 1 and split == 'train':
    raise UserError(
      'config.data.multiview=True compares the photos of a group, but each has '
      f'one photo; {_REMEDY}'
    )


def _refuse_unlike(
  examples: Sequence[Mapping[str, Any]], photos: Sequence[np.ndarray]
) -> None:
  """Refuses photos of one group that differ in size."""
  first = photos[0].shape
  for example, photo in zip(examples, photos, strict=True):
    if photo.shape != first:
      raise UserError(
        f'{example["filename"].decode()} is {photo.shape[0]}x{photo.shape[1]}, '
        f'but other photos of its group {example["car_id"].decode()} are '
        f'{first[0]}x{first[1]}, and cannot be compared; {_REMEDY}'
      )
