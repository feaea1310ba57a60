"""The published configs say what the write-ups say of training."""

import importlib

import chex
from absl.testing import parameterized

from carvana_jax.training import augment

# What all of them share: binary cross-entropy, Keras's Adam as it comes, a
# constant rate, no decay, no clipping and no average.
SHARED = {
  'train.loss': 'bce',
  'train.average_decay': 0,
  'optimizer.name': 'keras_adam',
  'optimizer.epsilon': 1e-7,
  'optimizer.schedule': 'constant',
  'optimizer.clip_norm': 0,
}
GLOROT = {'model.kernel_init': 'glorot_uniform'}
KERAS_NORM = {'model.norm_momentum': 0.99, 'model.norm_epsilon': 1e-3}
B = GLOROT | {
  'optimizer.learning_rate': 1e-3,
  'train.batch_size': 16,
  'train.epochs': 30,
  'model.first_width': 8,
  'model.dropout': 0.2,
}
E = GLOROT | {
  'optimizer.learning_rate': 1e-4,
  'train.batch_size': 16,
  'train.epochs': 20,
  'data.size': '256x256',
}
PUBLISHED = {
  'vgg19_unet512': KERAS_NORM
  | {
    'model.kernel_init': 'normal',
    'optimizer.learning_rate': 1e-3,
    'train.batch_size': 16,
    'train.epochs': 10,
    'train.monitor': 'loss',
    'train.patience': 4,
    'train.picture_epochs': 5,
    'data.size': '512x512',
    'augment.flip_left_right': True,
    'augment.brightness': 0.1,
    'augment.clip': False,
  },
  'tiny_unet128': B | {'data.size': '128x128', 'model.dropout_levels': (2, 3)},
  'tiny_unet512': B | {'data.size': '512x512', 'model.dropout_levels': (3, 4)},
  'median_cnn100': GLOROT
  | {
    'optimizer.learning_rate': 1e-3,
    'train.batch_size': 32,
    'train.epochs': 40,
    'data.size': '100x100',
    'data.multiview': True,
    'model.standardize': True,
    'eval.fill_holes': True,
  },
  'bn_unet128': GLOROT
  | KERAS_NORM
  | {
    'data.size': '128x128',
    'augment.flip_left_right': True,
    'augment.rotation': 8,
  },
  'cnn256': E,
  'unet256': E,
}


def config_of(name):
  return importlib.import_module(f'carvana_jax.configs.{name}').get_config()


class PublishedConfigsTest(chex.TestCase):
  @parameterized.named_parameters((name, name) for name in PUBLISHED)
  def test_fields(self, name):
    config = config_of(name)
    for path, value in (SHARED | PUBLISHED[name]).items():
      section, field = path.split('.')
      self.assertEqual(config[section][field], value, path)

  @parameterized.named_parameters((name, name) for name in PUBLISHED)
  def test_pictures_are_changed_as_published_and_in_no_other_way(self, name):
    published = {
      path.removeprefix('augment.'): value
      for path, value in PUBLISHED[name].items()
      if path.startswith('augment.')
    }
    self.assertEqual(
      augment.changes(config_of(name).augment),
      {field: value for field, value in published.items() if field != 'clip'},
    )
