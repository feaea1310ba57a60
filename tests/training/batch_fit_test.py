"""What is said of batches that are too small or too large for the devices."""

import re
from unittest import mock

import chex
import jax
from absl.testing import parameterized

from carvana_jax.configs import cnn256, default, unet512, vgg19_unet512
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import batch_fit, check_config
from tests.training import loop_test


def config_of(size, parts=1, norm='batch'):
  config = default.get_config()
  config.train.update(batch_size=size, accumulate=parts)
  config.model.norm = norm
  return config


class BatchFitTest(chex.TestCase):
  def on(self, count, platform='gpu'):
    for name, value in (('device_count', count), ('default_backend', platform)):
      patch = mock.patch.object(jax, name, lambda value=value: value)
      self.enterContext(patch)

  @parameterized.parameters(
    (1, 16, 1, '16 images, 16 a device'),
    (8, 16, 1, '16 images, 2 a device'),
    (2, 64, 4, '64 images, 8 a device at a time, 4 times a step'),
  )
  def test_images_a_device(self, count, size, parts, text):
    self.on(count)
    self.assertEqual(batch_fit.describe(config_of(size, parts)), text)

  def test_too_few_to_keep_an_accelerator_busy(self):
    self.on(8)
    (line,) = batch_fit.warnings(config_of(16))
    self.assertStartsWith(line, 'each device gets 2 image(s) at a time')
    self.assertIn('; a larger config.train.batch_size is', line)
    (line,) = batch_fit.warnings(config_of(64, 8))
    self.assertStartsWith(line, 'each device gets 1 image(s)')
    self.assertIn('; a smaller config.train.accumulate or a larger', line)
    self.assertEmpty(batch_fit.warnings(config_of(24)))
    self.on(8, 'cpu')
    self.assertEmpty(batch_fit.warnings(config_of(8)))

  @parameterized.parameters(
    # 64 images of one device, and of 8.
    (1, config_of(64), '; try --config.train.batch_size=32, or '
     '--config.train.accumulate=2 (batch normalisation then sees 32 images at '
     'a time), or --config.model.dtype=bfloat16, in another --workdir.'),
    (8, config_of(64, norm='group'), '; try --config.train.accumulate=2 (for '
     'the same gradient), or --config.train.batch_size=32, or --config.model'),
    # 18 images in 3 parts: no fewer parts than 6 split 18 images, and batches
    # of 9 or less are split over 3 parts.
    (1, config_of(18, 3, 'none'), 'size=18 and config.train.accumulate=3; try '
     '--config.train.accumulate=6 (for the same gradient), or '
     '--config.train.batch_size=9'),
    # 12 over 4 devices are 3 images each: all of them, one at a time.
    (4, config_of(12), 'batch_size=4, or --config.train.accumulate=3 (batch '
     'normalisation then sees 4 images'),
    # One image each: neither will do.
    (8, config_of(8), '; try --config.model.dtype=bfloat16, or a --config.data.'
     'size below 128x192, in'),
    (16, unet512.get_config(), '=1; try a --config.data.size below 512x768'),
    (1, cnn256.get_config(), 'try --config.train.accumulate=2 (for the same'),
    (1, vgg19_unet512.get_config(), 'try --config.train.batch_size=8, or'),
  )  # fmt: skip
  def test_what_to_lower(self, count, config, text):
    self.on(count)
    self.assertIn(text, batch_fit.remedy(config))

  @parameterized.parameters(1, 2, 3, 4, 6, 8)
  def test_what_is_proposed_can_be_run(self, count):
    self.on(count)
    for each in range(1, 13):
      for parts in (x for x in range(1, each + 1) if each % x == 0):
        text = batch_fit.remedy(config_of(each * count, parts))
        for field in ('batch_size', 'accumulate'):
          found = re.search(rf'--config\.train\.{field}=(\d+)', text)
          if found:
            config = config_of(each * count, parts)
            config.train[field] = int(found[1])
            check_config.check(config)


class RunTest(loop_test.LoopTest):
  def test_a_run_without_memory_for_its_steps(self):
    def step(*_):
      raise jax.errors.JaxRuntimeError(
        'RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.'
      )

    with (
      mock.patch.object(devices, 'train_step', lambda _: step),
      self.assertRaisesRegex(
        UserError,
        '^out of device memory on cpu with config.train.batch_size=4 .*; try '
        '--config.train.batch_size=2, or .*, in another --workdir.$',
      ),
    ):
      self.train()
