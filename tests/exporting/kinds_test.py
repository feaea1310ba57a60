"""What may be written where, before anything is loaded."""

import pathlib
import tempfile

from absl.testing import absltest, parameterized

from carvana_jax.exporting import kinds
from carvana_jax.exporting.options import Options
from carvana_jax.system.errors import UserError


class CheckTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)

  def check(self, name, **options):
    kinds.check(self.folder / name, Options('a', **options))

  def test_what_is_fine(self):
    for name in ('a.onnx', 'a.safetensors', 'a.jax', 'a.html'):
      self.check(name)
    self.check('a.onnx', form='rembg', precision='int8')

  @parameterized.parameters(
    ('a', {}, 'ends in none of .onnx, .safetensors, .jax, .html'),
    ('a.pb', {}, 'ends in none'),
    ('a.jax', {'precision': 'int8'}, '--precision=int8 .* from float32'),
    ('a.safetensors', {'form': 'rembg'}, '--for=rembg .* from network'),
    ('a.jax', {'photos': 'b'}, '--photos is of no use for .jax files'),
    ('a.onnx', {'runtime': 'b'}, '--runtime is of no use for .onnx files'),
    ('b/a.onnx', {}, '.*b is no folder'),
  )
  def test_refusals(self, name, options, message):
    with self.assertRaisesRegex(UserError, message):
      self.check(name, **options)

  def test_nothing_is_overwritten(self):
    path = self.folder / 'a.onnx'
    path.write_text('mine')
    with self.assertRaisesRegex(UserError, 'a.onnx exists'):
      self.check('a.onnx')
    path.unlink()
    path.symlink_to('nowhere')
    with self.assertRaisesRegex(UserError, 'a.onnx exists'):
      self.check('a.onnx')


if __name__ == '__main__':
  absltest.main()
