"""Files of `jax.export`: the network's logits, in what suits each platform."""

import dataclasses
import pathlib
import re
import tempfile
from unittest import mock

import jax
import jax.export
import numpy as np
from absl.testing import absltest

from carvana_jax import models
from carvana_jax.configs import debug
from carvana_jax.exporting import jax_file, kinds
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks, predictor
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run


def run_of(channels=3):
  """A network that was never trained."""
  config = debug.get_config()
  config.data.size = '8x12'
  config.data.coarse = 'coarse' if channels > 3 else ''
  config.data.empty_studio = channels == 8
  config.model.update(levels=2, first_width=8, upsampling='transposed')
  config.eval.flip = True
  model = models.build(config.model)
  image = np.zeros((1, 8, 12, channels), np.float32)
  variables = jax.jit(lambda: model.init(jax.random.key(0), image, train=False))
  return trained_run.Run(config, model, variables(), 7, '')


def images_of(batch, channels):
  rng = np.random.default_rng(batch)
  return rng.integers(0, 256, (batch, 8, 12, channels), np.uint8)


def kernels_of(exported):
  """The shapes of the kernels of a program's convolutions."""
  text = exported.mlir_module()
  found = re.findall(
    r'convolution.* : \(tensor<\S+>, tensor<(\S+)xf32>\)', text
  )
  return {tuple(map(int, shape.split('x'))) for shape in found}


class JaxFileTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.path = pathlib.Path(folder, 'a.jax')
    self.enter_context(mock.patch('builtins.print'))

  def write(self, run):
    nets = networks.Networks([run], run.config.eval)
    kinds.write(nets, self.path, Options('a'))

  def test_logits_of_any_number_of_images(self):
    fine = run_of(8)
    run = dataclasses.replace(run_of(), fine=fine)
    second = self.path.with_name('a-fine.jax')
    self.write(run)
    for path, one, images in (
      (self.path, run, images_of(3, 3)),
      (second, fine, images_of(1, 8)),
    ):
      exported = jax.export.deserialize(path.read_bytes())
      self.assertEqual(exported.platforms, ('cpu', 'cuda', 'tpu'))
      logits = exported.call(images)
      self.assertEqual(logits.dtype, np.float32)
      asked = jax.jit(predictor.logits, static_argnums=(0, 1))
      expected = asked(one.model, True, one.variables, images)
      np.testing.assert_allclose(logits, expected, atol=1e-6)
      self.assertGreater(np.std(logits), 0.01)

  def test_nothing_is_overwritten(self):
    second = self.path.with_name('a-fine.jax')
    second.touch()
    with self.assertRaisesRegex(UserError, 'a-fine.jax exists'):
      self.write(dataclasses.replace(run_of(), fine=run_of(4)))
    self.assertFalse(self.path.exists())

  def test_convolutions_suit_each_platform(self):
    run = run_of()
    leaves = jax.tree.leaves(run.variables['params'])
    plain = {x.shape for x in leaves if x.ndim == 4}
    found = {}
    for platform in jax_file.PLATFORMS:
      with mock.patch.object(jax_file, 'PLATFORMS', (platform,)):
        found[platform] = kernels_of(jax_file.exported(run))
    self.assertEqual(found['cuda'], plain)
    self.assertEqual(found['tpu'], plain)
    # Of 3 and 8 channels, four pixels are folded into channels.
    self.assertIn((3, 3, 12, 32), found['cpu'] - plain)
    together = kernels_of(jax_file.exported(run))
    self.assertEqual(together, plain | found['cpu'])


if __name__ == '__main__':
  absltest.main()
