"""Tiles of another data set's photos where a network is in doubt, for TFDS."""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import images, reading, spec
from carvana_jax.datasets.borders import tile_places
from carvana_jax.datasets.names import PROBABILITY_ENDING
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

TILES = 16  # of every photo

_DESCRIPTION = """
Tiles of the photos of another data set, at its full size, along the border of
the car as a network sees it, with that network's probabilities. Splits are
those of the other data set.
"""


class Builder(spec.SizedBuilder):
  """Cuts tiles from a prepared data set, 16 of every photo that is as large.

  The features are those of the source and `coarse`, a network's probability of
  car, 0..255. `image`, `coarse` and `mask` show HEIGHTxWIDTH pixels, which the
  builder config names, at the photo's own size.
  """

  VERSION = tfds.core.Version('1.0.1')
  RELEASE_NOTES = spec.RELEASE_NOTES
  BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own
    tfds.core.BuilderConfig(name=size, description=f'Tiles of {size} pixels.')
    for size in ('32x32', '64x64', '128x128', '256x256')
  ]

  def __init__(
    self,
    *,
    source: tfds.core.DatasetBuilder,
    probabilities: pathlib.Path,
    **kwargs: Any,
  ):
    """Constructs the builder.

    Args:
      source: the data set with the photos, prepared in random-access files at
        its full size. Its name is not in the folder of the result, so give each
        source, and each fingerprint of the probabilities, its own `data_dir`.
      probabilities: the folder with NAME_probability.png of every labelled
        photo.
      **kwargs: arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    self._source = source
    self._probabilities = probabilities
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    coarse = tfds.features.Image(shape=(*self._size, 1), encoding_format='png')
    features = {**spec.features(self.builder_config.name), 'coarse': coarse}
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
      if split != 'unlabeled'
    }

  def _generate_examples(self, split: str) -> spec.Examples:
    """Yields (name, example) for the tiles of a photo, then of the next."""
    source = reading.undecoded_examples(self._source, split)
    cut = lambda position: list(self._cut(source[position]))
    for examples in threads.ordered_map(cut, range(len(source))):
      yield from examples

  def _cut(self, example: Mapping[str, Any]) -> spec.Examples:
    """Yields (name, example) for the tiles of one photo."""
    name = spec.photo_name(example['car_id'].decode(), int(example['view']))
    file = spec.stem_of(example['filename'].decode())
    layers = {
      'image': images.decode_photo(example['image']),
      'mask': images.decode_mask(example['mask']),
      'coarse': read_probability(self._probabilities, file),
    }
    if not tile_places.fits(layers['mask'].shape, self._size):
      return
    # The same tiles whatever other photos there are.
    seed = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    corners = tile_places.random_places(
      layers['coarse'], self._size, TILES, np.random.default_rng(list(seed))
    )
    height, width = self._size
    for number, (top, left) in enumerate(corners):
      place = slice(top, top + height), slice(left, left + width)
      tile = {
        layer: images.encode_png(pixels[place])
        for layer, pixels in layers.items()
      }
      yield f'{name}_{number:02d}', {**example, **tile}

  @property
  def _size(self) -> tuple[int, int]:
    return spec.parse_size(self.builder_config.name)


def read_probability(folder: pathlib.Path, name: str) -> np.ndarray:
  """Reads the probabilities of a photo.

  Args:
    folder: where NAME_probability.png is.
    name: the photo's, without ending.

  Returns:
    uint8 [H, W], 0..255.

  Raises:
    UserError: the file is missing or damaged.
  """
  path = folder / f'{name}{PROBABILITY_ENDING}'
  try:
    return images.decode_mask(path.read_bytes())
  except (OSError, ValueError) as error:
    raise UserError(
      f'{path} is missing or damaged; remove its folder and give '
      'carvana_jax.refine the same command again.'
    ) from error
