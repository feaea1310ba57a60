"""What can't be run is refused before any work, by field, value and remedy."""

import pathlib
import tempfile

import chex
from absl.testing import parameterized

from carvana_jax.configs import (
  cnn256,
  debug,
  default,
  median_cnn100,
  vgg19_unet512,
)
from carvana_jax.system.errors import UserError
from carvana_jax.training import check_config


class CheckTest(chex.TestCase):
  @parameterized.parameters(
    ('train', 'epochs', 0, 'at least 1'),
    ('train', 'accumulate', 0, 'at least 1'),
    ('train', 'accumulate', 3, 'multiple of 6'),
    ('train', 'max_skipped', 0, 'at least 1'),
    ('train', 'loss', 'bcee', 'bce_dice'),
    ('train', 'patience', -1, 'at least 0'),
    ('train', 'monitor', 'iou', 'dice or loss'),
    ('train', 'batch_size', 0, 'multiple of'),
    ('train', 'batch_size', 3, 'multiple of'),
    ('eval', 'batch_size', 0, 'from 1 to 65536'),
    ('train', 'average_decay', 1.0, 'without 1'),
    ('augment', 'rotation', 200.0, 'in 0..180'),
    ('augment', 'scale', 1.0, 'without 1'),
    ('augment', 'gray', 2.0, 'in 0..1'),
    ('augment', 'shift', -0.1, 'in 0..1'),
    ('augment', 'hide_studio', 0.5, 'config.data.empty_studio=True'),
    ('data', 'empty_studio', True, 'refine, or leave it out'),
    ('eval', 'threshold', 1.5, 'between 0 and 1'),
    ('eval', 'smooth', -1.0, 'at least 0'),
    ('data', 'size', '64', 'HEIGHTxWIDTH'),
    ('data', 'size', '65x96', 'larger than the full size 64x96'),
    ('data', 'size', '15x96', 'at least 16 pixels'),
    ('data', 'fit', 'crop', 'one of stretch, pad'),
    ('data', 'fit', 'pad', 'whose photos have one shape'),
    ('data', 'size', '1024x1536', 'larger than the full size 64x96'),
    ('data', 'dataset', 'cars', 'carvana, studio'),
    ('data', 'validation_folds', (), 'from 1 to 9'),
    ('data', 'validation_folds', (0, 1), 'from 1 to 9'),
    ('data', 'validation_folds', (3, 10), 'from 1 to 9'),
    ('data', 'validation_folds', (3, 3), 'different ones'),
    ('data', 'validation_folds', tuple(range(1, 10)), 'but not all'),
    ('data', 'split_shares', (80, 20), 'three whole numbers'),
    ('data', 'split_by', 'photo', 'needs config.data.split_shares'),
    ('model', 'norm', 'bacth', 'batch'),
    ('model', 'head_width', -1, 'at least 0'),
    ('model', 'dropout_levels', (3,), '0 to 2'),
    ('optimizer', 'name', 'lion', 'adamw'),
    ('optimizer', 'learning_rate', 0.0, 'above 0'),
    ('optimizer', 'warmup', 1.0, 'between 0 and 1'),
  )
  def test_field(self, section, field, value, remedy):
    config = debug.get_config()
    check_config.check(config)
    config[section][field] = value
    with self.assertRaisesRegex(UserError, remedy) as caught:
      check_config.check(config)
    self.assertIn(str(value).strip('(,)'), str(caught.exception))

  def test_every_number_of_these_sections_has_a_range(self):
    config = default.get_config()
    numbers = {
      f'{section}.{name}'
      for section in ('augment', 'optimizer', 'train', 'eval')
      for name, value in config[section].items()
      if type(value) in (int, float)
    }
    ranges = [x for module in check_config._MODULES for x in module.RANGES]
    self.assertLen(ranges, len(set(ranges)))
    batches = {'train.batch_size', 'eval.batch_size'}  # see `_check_batches`
    self.assertEqual(set(ranges) - {'train.monitor'}, numbers - batches)

  def test_predictions_fill_up_any_batch(self):
    config = debug.get_config()
    config.eval.batch_size = 3  # of two devices
    check_config.check(config)

  def test_seed(self):
    config = default.get_config()
    config.seed = -1
    with self.assertRaisesRegex(UserError, 'seed=-1 must be at least 0'):
      check_config.check(config)

  @parameterized.parameters(
    ('as many', {'widths': (64, 128)}),
    ('at least 1', {'kernels': (3, 3, 0)}),
    ('at least 1', {'head_kernel': 0}),
  )
  def test_layers_of_the_cnn(self, remedy, fields):
    config = cnn256.get_config()
    check_config.check(config)
    config.model.update(fields)
    with self.assertRaisesRegex(UserError, remedy):
      check_config.check(config)

  @parameterized.parameters(
    ('as many as config.model.levels=5', {'widths': (64, 128)}),
    ('at least 1', {'widths': (4, 4, 4, 4, 0)}),
    ('at most 8192', {'widths': (4, 4, 4, 4, 9000)}),
    ('patch=0 must be at least 1', {'patch': 0}),
    ('patch=17 must be at most 16', {'patch': 17}),
  )
  def test_widths_and_patches_of_the_unet(self, remedy, fields):
    config = default.get_config()
    config.model.update(widths=(4, 8, 8, 8, 8), patch=2)
    check_config.check(config)
    config.model.update(fields)
    with self.assertRaisesRegex(UserError, remedy):
      check_config.check(config)

  def test_pseudo_labels(self):
    config = median_cnn100.get_config()
    config.data.pseudo_labels = 'soft'
    with self.assertRaisesRegex(UserError, '=soft .* set .*unlabeled=True'):
      check_config.check(config)
    config.data.unlabeled = True
    with self.assertRaisesRegex(UserError, '=soft .*multiview=True crops'):
      check_config.check(config)
    config = debug.get_config()
    config.data.update(pseudo_labels='soft', unlabeled=True)
    check_config.check(config)

  def test_files_of_no_use_to_new_runs(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = debug.get_config()
    refuse = lambda: check_config.refuse_unused_source(
      config, [root / 'a', root / 'b']
    )
    refuse()
    for field, value in (
      ('manual_dir', 'photos'),
      ('kaggle', True),
      ('groups', 'photo'),
      ('mask_ending', '_m'),
      ('object_values', '1'),
      ('resize_masks', True),
    ):
      config = debug.get_config()
      config.data[field] = value
      with self.assertRaisesRegex(UserError, f'{field}={value} is of no use'):
        refuse()
    check_config.check(config)
    (root / 'b' / 'checkpoints' / '20').mkdir(parents=True)
    refuse()  # the runs are there

  def test_photos_that_are_not_split(self):
    config = debug.get_config()
    config.data.groups = 'unsplit'
    with self.assertRaisesRegex(UserError, '=unsplit leaves nothing to train'):
      check_config.check(config)

  def test_tiles_for_a_second_network(self):
    config = debug.get_config()
    check_config.refuse_tiles(config)
    config.data.update(coarse='first', size='32x32')
    check_config.check(config)
    with self.assertRaisesRegex(UserError, '=first is set by .*refine'):
      check_config.refuse_tiles(config)
    for field in ('multiview', 'pseudo_labels'):
      other = config.copy_and_resolve_references()
      other.data[field] = type(other.data[field])('x')
      other.data.unlabeled = True
      with self.assertRaisesRegex(UserError, '=first .* unset .*multiview'):
        check_config.check(other)
    config.data.size = '48x48'
    check_config.check(config)
    config.data.size = '48x128'
    with self.assertRaisesRegex(UserError, '=48x128 is larger'):
      check_config.check(config)
    config = vgg19_unet512.get_config()
    config.data.update(coarse='first', size='128x128')
    with self.assertRaisesRegex(
      UserError, '=first gives 4 channels, .*unet takes 3;'
    ):
      check_config.check(config)

  def test_differences_between_views(self):
    config = median_cnn100.get_config()
    check_config.check(config)
    config.data.multiview = False
    check_config.check(config)
    config.data.update(multiview=True, dataset='folder', fit='pad')
    with self.assertRaisesRegex(UserError, 'fit=pad .*multiview=True'):
      check_config.check(config)
    config = vgg19_unet512.get_config()
    check_config.check(config)
    config.data.multiview = True
    with self.assertRaisesRegex(UserError, 'multiview=True .* 6 channels'):
      check_config.check(config)
