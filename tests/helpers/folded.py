"""Photos of cars from every fold, in the splits that follow from the folds."""

import hashlib

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import images, spec
from tests.helpers import numbered

VIEWS = 2


def cars(fold, count=1):
  """The first `count` made-up cars of a fold."""
  ids = (hashlib.sha1(str(i).encode()).hexdigest()[:12] for i in range(1000))
  return [car for car in ids if spec.fold_of(car) == fold][:count]


CARS = [car for fold in range(spec.FOLDS) for car in cars(fold)]
UNLABELED = ['ffffffffff01', 'ffffffffff02']


class Folded(numbered.Numbered):
  """A bright square on gray noise a photo; prepared in a moment."""

  VERSION = tfds.core.Version('1.0.0')

  def _split_generators(self, dl_manager):
    by_split = {'unlabeled': self._generate_examples(UNLABELED)}
    for split in ('train', 'validation', 'test'):
      chosen = [car for car in CARS if spec.split_of(car) == split]
      by_split[split] = self._generate_examples(chosen)
    return by_split

  def _generate_examples(self, chosen):
    height, width = spec.parse_size(numbered.SIZE)
    for car in chosen:
      for view in range(1, VIEWS + 1):
        name = spec.photo_name(car, view)
        rng = np.random.default_rng([int(car, 16), view])
        photo = rng.integers(0, 200, (height, width, 3)).astype(np.uint8)
        mask = np.zeros((height, width), np.uint8)
        top, left = rng.integers(4, [height // 2, width // 2])
        mask[top : top + 28, left : left + 40] = 255
        photo[mask > 0] |= 128
        yield (
          name,
          {
            'image': images.encode_png(photo),
            'mask': images.encode_png(mask),
            'filename': f'{name}.jpg',
            'car_id': car,
            'view': view,
            'fold': spec.fold_of(car),
            **dict.fromkeys(('make', 'model', 'year', 'trim'), ''),
          },
        )


def prepare(folder) -> Folded:
  """The builder, prepared in a folder in random-access files."""
  builder = Folded(data_dir=folder, file_format='array_record')
  builder.download_and_prepare()
  return builder
