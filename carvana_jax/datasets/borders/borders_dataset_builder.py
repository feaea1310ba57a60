"""Tiles of another data set's photos where a network is in doubt, for TFDS."""

import functools
import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import empty_studio, folds, images, reading, spec
from carvana_jax.datasets.borders import tile_places
from carvana_jax.datasets.names import PROBABILITY_ENDING
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

TILES = 16  # of every photo

# So many of a car's views, from .. to, are compared with the studio that they
# alone show, so that networks get to know what few views tell.
_FEW_VIEWS = 2, 8

_Part = tuple[slice, slice]  # rows and columns of a photo

_DESCRIPTION = """
Tiles of the photos of another data set, at its full size, along the border of
the car as a network sees it, with that network's probabilities. Splits are
those of the other data set.
"""


class Builder(spec.SizedBuilder):
  """Cuts tiles from a prepared data set, 16 of every photo that is as large.

  The features are those of the source and `coarse`, a network's probability of
  car, 0..255; on demand also `studio`, how the photo differs from the empty
  studio, and `studio_views`, how many views have shown that, see
  `empty_studio.difference`. The pictures show HEIGHTxWIDTH pixels, which the
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
    studio: bool = False,
    **kwargs: Any,
  ):
    """Constructs the builder.

    Args:
      source: the data set with the photos, prepared in random-access files at
        its full size. Its name is not in the folder of the result, so give each
        source, and each fingerprint of the probabilities, its own `data_dir`.
      probabilities: the folder with NAME_probability.png of every labelled
        photo.
      studio: whether photos are compared with the empty studio, too. Give the
        result another `data_dir`, then.
      **kwargs: arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    self._source = source
    self._probabilities = probabilities
    self._studio = studio
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    coarse = tfds.features.Image(shape=(*self._size, 1), encoding_format='png')
    features = {**spec.features(self.builder_config.name), 'coarse': coarse}
    if self._studio:
      image = lambda channels: tfds.features.Image(
        shape=(*self._size, channels), encoding_format='png'
      )
      features |= {'studio': image(3), 'studio_views': image(1)}
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
    read = lambda position: self._read(source[position])
    if not self._studio:
      cut = lambda position: list(self._cut(*read(position)))
      for examples in threads.ordered_map(cut, range(len(source))):
        yield from examples
      return
    for car, positions in folds.cars_of(source).items():
      for first in range(0, len(positions), empty_studio.MOST_VIEWS):
        some = positions[first : first + empty_studio.MOST_VIEWS]
        views = list(threads.ordered_map(read, some))
        differences = _differences(car, [layers for _, layers in views])
        cut = lambda pair: list(self._cut(*pair[0], pair[1]))
        pairs = zip(views, differences, strict=True)
        for examples in threads.ordered_map(cut, pairs):
          yield from examples

  def _read(
    self, example: Mapping[str, Any]
  ) -> tuple[Mapping[str, Any], dict[str, np.ndarray]]:
    """Returns a photo's example and its pictures, decoded."""
    file = spec.stem_of(example['filename'].decode())
    mask = images.decode_mask(example['mask'])
    return example, {
      'image': images.decode_photo(example['image']),
      'mask': mask,
      'coarse': read_probability(self._probabilities, file, mask.shape),
    }

  def _cut(
    self,
    example: Mapping[str, Any],
    layers: Mapping[str, np.ndarray],
    difference: Callable[[_Part], np.ndarray] | None = None,
  ) -> spec.Examples:
    """Yields (name, example) for the tiles of one photo."""
    if not tile_places.fits(layers['mask'].shape, self._size):
      return
    name = spec.photo_name(example['car_id'].decode(), int(example['view']))
    corners = tile_places.random_places(
      layers['coarse'], self._size, TILES, _random(name)
    )
    height, width = self._size
    for number, (top, left) in enumerate(corners):
      place = slice(top, top + height), slice(left, left + width)
      parts = {layer: pixels[place] for layer, pixels in layers.items()}
      if difference:
        channels = difference(place)
        parts |= {'studio': channels[..., :3], 'studio_views': channels[..., 3]}
      tile = {layer: images.encode_png(part) for layer, part in parts.items()}
      yield f'{name}_{number:02d}', {**example, **tile}

  @property
  def _size(self) -> tuple[int, int]:
    return spec.parse_size(self.builder_config.name)


def _random(name: str) -> np.random.Generator:
  """Returns random numbers that depend on a name alone."""
  seed = hashlib.md5(name.encode(), usedforsecurity=False).digest()
  return np.random.default_rng(list(seed))


def _differences(
  car: str, views: Sequence[Mapping[str, np.ndarray]]
) -> list[Callable[[_Part], np.ndarray]]:
  """Returns how each view of a car differs from the empty studio, by parts.

  Args:
    car: its id, from which follows which views are seen with a few others only.
    views: the pictures of each.

  Returns:
    A function for each view, see `empty_studio.difference`.
  """
  random = _random(car)
  count = int(random.integers(*_FEW_VIEWS, endpoint=True))
  few = random.permutation(len(views))[:count].tolist()
  found = {}
  for chosen in (range(len(views)), few):
    studio = empty_studio.find(
      [views[number]['image'] for number in chosen],
      [views[number]['coarse'] for number in chosen],
    )
    for view, number in enumerate(chosen):
      found[number] = functools.partial(
        empty_studio.difference, studio, view, views[number]['image']
      )
  return [found[number] for number in range(len(views))]


def read_probability(
  folder: pathlib.Path, name: str, size: tuple[int, int]
) -> np.ndarray:
  """Reads the probabilities of a photo.

  Args:
    folder: where NAME_probability.png is.
    name: the photo's, without ending.
    size: (H, W) of the photo.

  Returns:
    uint8 [H, W], 0..255.

  Raises:
    UserError: the file is missing, damaged or of another size.
  """
  path = folder / f'{name}{PROBABILITY_ENDING}'
  try:
    found = images.decode_mask(path.read_bytes())
  except (OSError, ValueError) as error:
    raise UserError(
      f'{path} is missing or damaged; remove its folder and give '
      'carvana_jax.refine the same command again.'
    ) from error
  if found.shape != size:
    raise UserError(
      f'{path} has {"x".join(map(str, found.shape))} pixels, its photo '
      f'{"x".join(map(str, size))}; give the probabilities of that photo.'
    )
  return found
