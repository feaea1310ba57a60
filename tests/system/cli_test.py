"""What a command says when it fails: one line, exit code 2."""

import contextlib
import errno
import io
import signal
import subprocess
import sys
from unittest import mock

import chex
from absl import app, flags

from carvana_jax.system import cli
from carvana_jax.system.errors import Interrupted
from tests.helpers.commands import ROOT


class FailureTest(chex.TestCase):
  def fail_with(self, error, code=2):
    """The error stream of a command that raises, which ends with the code."""
    flags.FLAGS.mark_as_parsed()
    output = io.StringIO()
    with (
      mock.patch.object(app, 'run', lambda main, flags_parser: main(['name'])),
      contextlib.redirect_stderr(output),
      self.assertRaises(SystemExit) as end,
    ):
      cli.run(mock.Mock(side_effect=error))
    self.assertEqual(end.exception.code, code)
    return output.getvalue()

  def test_a_full_disk(self):
    for name, shown in (('a/b', "'a/b'"), (None, 'a file')):
      for number in errno.ENOSPC, errno.EDQUOT, errno.EFBIG:
        self.assertEqual(
          self.fail_with(OSError(number, 'The reason', name)),
          f'error: {shown} cannot be written (The reason); make room on that '
          'disk.\n',
        )

  def test_a_path(self):
    text = self.fail_with(FileNotFoundError(errno.ENOENT, 'No such', 'a/b'))
    self.assertRegex(text, "^error: .*'a/b'; check that path .*\n$")

  def test_an_interruption(self):
    self.addCleanup(
      signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM)
    )
    for error, number in (
      (KeyboardInterrupt, signal.SIGINT),
      (lambda: signal.raise_signal(signal.SIGTERM), signal.SIGTERM),
    ):
      text = self.fail_with(error, 128 + number)
      self.assertEqual(text, 'interrupted; run the same command again\n')

  def test_an_interruption_that_was_said(self):
    self.assertEqual(self.fail_with(Interrupted(15), 143), '')

  def test_an_interruption_while_libraries_load(self):
    # Where tests run in the background, their processes ignore Ctrl-C.
    program = (
      'import os, signal, time; from carvana_jax.system import cli; '
      'signal.signal(signal.SIGINT, signal.default_int_handler); cli.parse(); '
      'os.kill(os.getpid(), signal.SIGINT); time.sleep(9)'
    )
    done = subprocess.run(
      [sys.executable, '-c', program],
      cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    self.assertEqual(done.returncode, -signal.SIGINT)  # 130 for a shell
    self.assertEqual(done.stderr, 'interrupted; run the same command again\n')

  def test_a_bug(self):
    self.assertIn('Traceback', self.fail_with(ValueError('x'), 1))
