"""Commands answer questions about their flags before large libraries load."""

import re
import subprocess
import sys

from absl.testing import parameterized

from benchmarks import start
from tests.helpers.commands import ROOT

LARGE = {
  'cv2', 'flax', 'jax', 'matplotlib', 'orbax', 'tensorflow',
  'tensorflow_datasets',
}  # fmt: skip
BENCHMARKS = sorted(
  path.stem
  for path in (ROOT / 'benchmarks').glob('*.py')
  if '  cli.run(main)' in path.read_text()
)
COMMANDS = [f'carvana_jax.{verb}' for verb in start.verbs()] + [
  f'benchmarks.{name}' for name in BENCHMARKS
]


def answer(module, flag):
  """What a command prints, and the packages that it has imported."""
  done = subprocess.run(
    [sys.executable, '-X', 'importtime', '-m', module, flag],
    cwd=ROOT, capture_output=True, text=True, check=False,
  )  # fmt: skip
  lines = done.stderr.splitlines()
  times = [line for line in lines if line.startswith('import time:')]
  packages = {re.split(r'[|.]\s*', line)[2] for line in times}
  errors = [line for line in lines if line not in times]
  return done.stdout, done.returncode, errors, packages


class HelpTest(parameterized.TestCase):
  def test_all_commands_are_known(self):
    self.assertContainsSubset(
      {'carvana_jax.main', 'carvana_jax.compare', 'benchmarks.step'},
      COMMANDS,
    )

  @parameterized.parameters(*COMMANDS)
  def test_help(self, module):
    printed, code, errors, packages = answer(module, '--help')
    self.assertEqual(code, 0)
    self.assertIn('flags:', printed)
    self.assertIn(f'python -m {module}', printed)
    self.assertEqual(errors, [])
    self.assertIn('absl', packages)
    self.assertNoCommonElements(packages, LARGE)

  @parameterized.parameters(*COMMANDS)
  def test_a_wrong_flag(self, module):
    printed, code, errors, packages = answer(module, '--helq')
    self.assertEqual(code, 2)
    self.assertEqual(printed, '')
    self.assertLen(errors, 1)
    self.assertRegex(errors[0], '^error: .*helq')
    self.assertNoCommonElements(packages, LARGE)
