"""What a command sets for its whole process, and what is seen without that."""

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

_LIBRARY = """
import io
import numpy as np
from PIL import Image
from carvana_jax.system import image_libraries

stream = io.BytesIO()
y, x = np.indices((60, 80))
image = Image.fromarray((x // 5 + y // 3) % 2 == 1)
image.save(stream, 'TIFF', compression='group4')
data = bytearray(stream.getvalue())
strip = Image.open(stream).tag_v2[273][0]
data[strip + 1 : strip + 5] = 0, 0, 18, 52
Image.open(io.BytesIO(data)).load()
print(image_libraries.libtiff_failed(), image_libraries.libtiff_failed())
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

  def test_in_a_library(self):
    done = subprocess.run(
      [sys.executable, '-c', _LIBRARY],
      cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    self.assertEqual(done.stdout, 'True False\n')
    self.assertIn('Fax4Decode', done.stderr)  # as without this project


if __name__ == '__main__':
  absltest.main()
