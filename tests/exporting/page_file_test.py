"""The page as `export` writes it."""

import base64
import dataclasses
import gzip
import pathlib
import re
import tempfile
from unittest import mock

import onnx
from absl.testing import absltest

from carvana_jax.exporting import kinds
from carvana_jax.exporting.options import Options
from carvana_jax.page import build, runtime
from carvana_jax.system.errors import UserError
from tests.exporting.onnx_file_test import network_of, networks_of


class PageFileTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = pathlib.Path(folder.name) / 'page.html'
    program = build.Runtime(b'script', b'binary', 'Runner', 'free')
    patch = mock.patch.object(runtime, 'load', return_value=program)
    self.load = patch.start()
    self.addCleanup(patch.stop)

  def write(self, run, **options):
    options = kinds.check(self.path, Options('fast', **options))
    with mock.patch('builtins.print') as printed:
      kinds.write(networks_of(run), self.path, options)
    return [call.args[0] for call in printed.call_args_list]

  def test_the_first_network_in_float16(self):
    run = network_of()
    given = pathlib.Path('own.tgz')
    lines = self.write(dataclasses.replace(run, fine=run), runtime=given)
    self.load.assert_called_once_with(given)
    self.assertIn('asks the first network alone', lines[0])
    self.assertRegex(lines[-1], r'^wrote .*page.html \(0\.\d MB\)$')
    text = re.search(r'id="network">([^<]*)<', self.path.read_text())[1]
    model = onnx.load_from_string(gzip.decompress(base64.b64decode(text)))
    kinds_of = {x.data_type for x in model.graph.initializer}
    self.assertIn(onnx.TensorProto.FLOAT16, kinds_of)

  def test_refusals(self):
    run = network_of(channels=6)
    run.config.data.multiview = True
    with self.assertRaisesRegex(UserError, 'all views of a car, and the page'):
      self.write(run)
    self.assertFalse(self.path.exists())
    with self.assertRaisesRegex(UserError, '--runtime is of no use for .onnx'):
      kinds.check(
        self.path.with_suffix('.onnx'),
        Options('fast', runtime=pathlib.Path('own.tgz')),
      )


if __name__ == '__main__':
  absltest.main()
