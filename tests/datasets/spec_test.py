import tempfile
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import carvana_dataset_builder
from carvana_jax.datasets.studio import studio_dataset_builder
from carvana_jax.system.errors import UserError


class SpecTest(parameterized.TestCase):
  def test_parse_size(self):
    self.assertEqual(spec.parse_size('1280x1918'), (1280, 1918))

  @parameterized.parameters('128', '128x', 'x128', '0x128', '1x2x3', '-1x2', '')
  def test_parse_size_rejects(self, size):
    with self.assertRaisesRegex(UserError, repr(size)):
      spec.parse_size(size)

  @parameterized.parameters(
    ('0cdf5b5d0ce1_01', ('0cdf5b5d0ce1', 1)),
    ('0cdf5b5d0ce1_16', ('0cdf5b5d0ce1', 16)),
    ('0cdf5b5d0ce1_00', None),
    ('0cdf5b5d0ce1_17', None),
    ('0cdf5b5d0ce1_1', None),
    ('0CDF5B5D0CE1_01', None),
    ('0cdf5b5d0ce_01', None),
    ('0cdf5b5d0ce1_01_mask', None),
    ('0cdf5b5d0ce1_01\n', None),
  )
  def test_parse_photo(self, stem, expected):
    self.assertEqual(spec.parse_photo(stem), expected)

  def test_photo_name_is_what_parse_photo_reads(self):
    self.assertEqual(spec.photo_name('0cdf5b5d0ce1', 7), '0cdf5b5d0ce1_07')

  # By hand: `printf fold:0cdf5b5d0ce1 | md5sum`, then modulo ten. A change of
  # these moves cars between the splits of everyone's data.
  @parameterized.parameters(
    ('0cdf5b5d0ce1', 3),
    ('00087a6bd4dc', 9),
    ('fff9b3a5373f', 2),
  )
  def test_fold_is_the_md5_of_the_id(self, car_id, fold):
    self.assertEqual(spec.fold_of(car_id), fold)

  def test_splits_follow_the_folds(self):
    names = {0: 'test', 1: 'validation'}
    seen = set()
    for number in range(200):
      car_id = f'{number:012x}'
      fold = spec.fold_of(car_id)
      seen.add(fold)
      self.assertEqual(spec.split_of(car_id), names.get(fold, 'train'))
    self.assertEqual(seen, set(range(10)))

  def test_features(self):
    features = spec.features('128x192')
    self.assertEqual(features['image'].shape, (128, 192, 3))
    self.assertEqual(features['mask'].shape, (128, 192, 1))
    self.assertEqual(features['image'].np_dtype, np.uint8)
    self.assertEqual(features['view'].np_dtype, np.int32)
    car = ['car_id', 'make', 'model', 'year', 'trim', 'fold']
    photo = ['image', 'mask', 'filename', 'view']
    self.assertCountEqual(features, photo + car)

  @parameterized.parameters(*spec.SIZES)
  def test_every_size_has_features(self, size):
    encoded = spec.features(size).to_json()
    self.assertNotIn('jpeg', str(encoded))
    encoded = spec.features(size, 'jpeg').to_json()
    self.assertIn('jpeg', str(encoded))

  def test_pictures_of_their_own_sizes(self):
    features = spec.features('original', None)
    self.assertEqual(features['image'].shape, (None, None, 3))
    self.assertEqual(features['mask'].shape, (None, None, 1))

  @parameterized.product(
    module=(carvana_dataset_builder, studio_dataset_builder),
    size=('100x100', '320x480'),
  )
  def test_tfds_knows_any_size(self, module, size):
    name = module.Builder.name
    folder = self.enterContext(tempfile.TemporaryDirectory())
    builder = tfds.builder(f'{name}/{size}', data_dir=folder)
    height, width = spec.parse_size(size)
    self.assertEqual(builder.info.features['image'].shape, (height, width, 3))
    self.assertEqual(builder.info.full_name, f'{name}/{size}/1.0.1')

  def test_a_builder_has_any_size(self):
    config = spec.SizedBuilder.get_builder_config
    with mock.patch.object(
      spec.SizedBuilder, 'BUILDER_CONFIGS', [tfds.core.BuilderConfig(name='a')]
    ):
      self.assertEqual(config('17x33', '1.0.0').name, '17x33')
      # Nothing is in the way of a config of one's own with that name.
      self.assertIsNone(config('17x33'))
      self.assertEqual(config('a').name, 'a')


if __name__ == '__main__':
  absltest.main()
