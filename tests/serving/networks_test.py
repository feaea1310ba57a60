"""Which networks --workdir and --fine stand for."""

import pathlib
import shutil
import subprocess
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest

from benchmarks import bright_network
from carvana_jax.serving import networks
from carvana_jax.system.errors import UserError


class NetworksTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.file = self.folder / 'bright.onnx'
    bright_network.write(self.file)

  def test_a_file(self):
    remove = networks.load(str(self.file), None)
    self.assertTrue(remove(np.full((4, 6, 3), 200, np.uint8)).mask.all())

  def test_what_is_not_there(self):
    with self.assertRaisesRegex(UserError, 'nowhere does not exist'):
      networks.load(str(self.folder / 'nowhere'), None)
    with self.assertRaisesRegex(UserError, 'bright-fine.onnx is missing'):
      networks.load(str(self.file), True)

  def test_a_run_is_exported_by_another_process(self):
    def export(words, check):
      self.assertIn('carvana_jax.export', words)
      self.assertIn(f'--workdir={self.folder}', words)
      self.assertNotIn('--fine', words)
      (output,) = [x for x in words if x.startswith('--output=')]
      shutil.copy(self.file, output.removeprefix('--output='))
      return subprocess.CompletedProcess(words, 0)

    with mock.patch.object(subprocess, 'run', export):
      remove = networks.load(str(self.folder), False)
    self.assertEqual(remove.facts.run, 'bright')

  def test_a_run_that_cannot_be_exported(self):
    failed = subprocess.CompletedProcess([], 2)
    with (
      mock.patch.object(subprocess, 'run', return_value=failed),
      self.assertRaises(SystemExit) as caught,
    ):
      networks.load(str(self.folder), None)
    self.assertEqual(caught.exception.code, 2)


if __name__ == '__main__':
  absltest.main()
