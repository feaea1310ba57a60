"""No command loads TensorFlow, which takes seconds and many do not have.

Nor does the package need what Unix alone has; libraries have their own ways.

`helpers/commands.py` starts commands where nothing can import it: the debug run
of all tests, what it prepares included, and whatever is done with it.
"""

import subprocess
import sys

import chex

from tests.helpers.commands import ROOT, environment

_IMPORT_ALL = """
import builtins, importlib, pkgutil, carvana_jax
# Of Python's documentation, Availability: Unix.
missing = {'crypt', 'fcntl', 'grp', 'nis', 'posix', 'pty', 'pwd', 'resource',
           'spwd', 'syslog', 'termios', 'tty'}
import_ = builtins.__import__
def import_as_on_windows(name, names=None, *args, **more):
  importer = (names or {}).get('__name__') or ''
  if name in missing and importer.startswith('carvana_jax'):
    raise ModuleNotFoundError(name)
  return import_(name, names, *args, **more)
builtins.__import__ = import_as_on_windows
for module in pkgutil.walk_packages(carvana_jax.__path__, 'carvana_jax.'):
  importlib.import_module(module.name)
"""


class WithoutTensorFlowTest(chex.TestCase):
  def run_python(self, code):
    return subprocess.run(
      [sys.executable, '-c', code],
      cwd=ROOT, env=environment(1), capture_output=True, text=True, check=False,
    )  # fmt: skip

  def test_tests_would_notice(self):
    result = self.run_python(
      'try:\n  import tensorflow\nexcept Exception:\n  pass'
    )
    self.assertEqual(result.returncode, 1)
    self.assertEqual(result.stderr, 'TensorFlow was imported\n')

  def test_no_module_imports_it_or_what_unix_alone_has(self):
    result = self.run_python(_IMPORT_ALL)
    self.assertEqual(result.returncode, 0, result.stderr)
