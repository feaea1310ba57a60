"""What a command sets for its whole process takes effect in `main`."""

import subprocess
import sys

from absl.testing import absltest

from tests.helpers.commands import ROOT

_COMMAND = """
import warnings
from carvana_jax.system import cli

def main():
  import cv2
  assert cv2.getNumThreads() == 1, cv2.getNumThreads()
  for module in ('PIL.Image', 'PIL.TiffImagePlugin', 'other'):
    warnings.warn_explicit(f'by {module}', UserWarning, 'file.py', 1, module)

cli.parse()
cli.run(main)
"""


class ImageLibrariesTest(absltest.TestCase):
  def test_in_a_command(self):
    command = subprocess.run(
      [sys.executable, '-W', 'default', '-c', _COMMAND],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(command.returncode, 0, command.stderr)
    self.assertIn('by other', command.stderr)
    self.assertNotIn('by PIL', command.stderr)


if __name__ == '__main__':
  absltest.main()
