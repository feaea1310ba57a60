"""A rendered turntable studio as a TFDS data set; needs no download."""

import dataclasses
import io
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict
from PIL import Image

from carvana_jax.datasets import images, spec
from carvana_jax.datasets.studio import cars, render
from carvana_jax.system import threads

_DESCRIPTION = """
A rendered stand-in for the photos of `carvana`: parametric cars in a turntable
studio, 16 views of each, with masks exact from the geometry. Features, names,
splits by car and folds are those of the real photos; `model` is the body type
and `trim` the paint. `unlabeled` holds cars without masks.
"""


@dataclasses.dataclass(kw_only=True)
class Config(tfds.core.BuilderConfig):
  """A size of the pictures, which is the config's name, `HEIGHTxWIDTH`.

  Attributes:
    cars: how many have masks.
    unlabeled_cars: how many have none.
    seed: all pictures of all sizes follow from it. With the default, `test`
      holds a car of every body type.
  """

  cars: int = 56
  unlabeled_cars: int = 4
  seed: int = 2372


def preparation(
  data_config: ConfigDict, root: pathlib.Path
) -> spec.Preparation:
  """Returns what it takes to prepare the rendered studio, which has no source.

  Args:
    data_config: `config.data`.
    root: the folder of all prepared data.
  """
  del data_config  # the studio is always the same
  return spec.Preparation(root, options={}, download_config=None)


class Builder(spec.SizedBuilder):
  """Renders the studio, on the CPU and on all its cores.

  At the original size pictures are JPG and masks 0 or 255; at smaller ones
  pictures are PNG that were JPG once, and masks are soft.
  """

  VERSION = tfds.core.Version('1.0.1')
  RELEASE_NOTES = spec.RELEASE_NOTES
  BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own
    Config(name=size, description=f'Images of {size} pixels.')
    for size in ('64x96', *spec.SIZES)
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.name
    return self.dataset_info_from_configs(
      description=_DESCRIPTION,
      features=spec.features(
        size, 'jpeg' if size == spec.ORIGINAL_SIZE else 'png'
      ),
    )

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
    del dl_manager  # nothing to download
    config = self.builder_config
    splits = {'train': [], 'validation': [], 'test': [], 'unlabeled': []}
    for index in range(config.cars + config.unlabeled_cars):
      car = cars.sample_car(config.seed, index)
      labeled = index < config.cars
      splits[spec.split_of(car.car_id) if labeled else 'unlabeled'].append(car)
    # TFDS cannot write a split without examples.
    return {
      split: self._generate_examples(members, labeled=split != 'unlabeled')
      for split, members in splits.items()
      if members
    }

  def _generate_examples(
    self, members: list[cars.Car], labeled: bool
  ) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (name, example) for all views, rendered on all cores."""
    config = self.builder_config
    height, width = spec.parse_size(config.name)

    def example(photo: tuple[cars.Car, int]) -> tuple[str, dict[str, Any]]:
      car, view = photo
      name = spec.photo_name(car.car_id, view)
      image, mask = render.render(car, view, height, width, config.seed)
      return name, {
        'image': self._encode_image(image, quality=85 + (car.index + view) % 8),
        'mask': self._encode_mask(mask if labeled else np.zeros_like(mask)),
        'filename': f'{name}.jpg',
        'car_id': car.car_id,
        'view': view,
        'make': car.make,
        'model': car.model,
        'year': car.year,
        'trim': car.trim,
        'fold': spec.fold_of(car.car_id),
      }

    photos = [
      (car, view) for car in members for view in range(1, spec.VIEWS + 1)
    ]
    return threads.ordered_map(example, photos)

  def _encode_image(self, image: np.ndarray, quality: int) -> bytes:
    """JPG bytes, or PNG bytes of what JPG leaves of the image."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, 'JPEG', quality=quality)
    if self.builder_config.name == spec.ORIGINAL_SIZE:
      return stream.getvalue()
    return images.encode_png(images.decode_photo(stream.getvalue()))

  def _encode_mask(self, mask: np.ndarray) -> bytes:
    if self.builder_config.name == spec.ORIGINAL_SIZE:
      mask = np.where(mask > 127, 255, 0).astype(np.uint8)
    return images.encode_png(mask)
