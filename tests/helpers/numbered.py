"""A data set of plain pictures whose pixels all hold the example's number."""

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import images, spec

SPLITS = {'train': 10, 'validation': 4, 'test': 2}
SIZE = '64x96'


class Numbered(tfds.core.GeneratorBasedBuilder):
  """Prepared in a moment; with the features of the real data sets."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(self, splits=SPLITS, **arguments):
    self._splits = splits
    super().__init__(**arguments)

  def _info(self):
    return tfds.core.DatasetInfo(builder=self, features=spec.features(SIZE))

  def _split_generators(self, dl_manager):
    return {
      split: self._generate_examples(count)
      for split, count in self._splits.items()
    }

  def _generate_examples(self, count):
    text = ('car_id', 'make', 'model', 'year', 'trim')
    for number in range(count):
      picture = np.full((*spec.parse_size(SIZE), 3), number, np.uint8)
      yield (
        number,
        {
          'image': images.encode_png(picture),
          'mask': images.encode_png(picture[..., 0]),
          'view': 1,
          'fold': 0,
          'filename': f'{number}.jpg',
          **dict.fromkeys(text, ''),
        },
      )


def prepare(folder, splits=SPLITS) -> Numbered:
  """The builder, prepared in a folder in random-access files."""
  builder = Numbered(splits, data_dir=folder, file_format='array_record')
  builder.download_and_prepare()
  return builder
