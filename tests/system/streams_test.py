"""Standard output and error that are closed, full or gone."""

import contextlib
import errno
import io
import os
import subprocess
import sys
import tempfile
from unittest import mock

import chex
from absl.testing import parameterized

from carvana_jax.system import streams
from tests.helpers.commands import ROOT

# A command in the small: 20 kB, more than is kept before it is written.
_PROGRAM = """
import sys
from carvana_jax.system import cli
cli.parse()
def main():
  print('done\\n' * {lines})
  {end}
cli.run(main)
"""
_FULL = (
  'error: standard output cannot be written (No space left on device); choose '
  'another place for it.\n'
)


def run(shell, lines=1, end=''):
  """Runs it in bash, `$@` in a script; returns the script's result."""
  program = _PROGRAM.format(lines=lines, end=end)
  return subprocess.run(
    ['bash', '-c', f'set -o pipefail; {shell}', 'bash', sys.executable, '-c',
     program],
    cwd=ROOT, env=os.environ | {'PYTHONUNBUFFERED': ''}, capture_output=True,
    text=True, check=False,
  )  # fmt: skip


class CommandTest(parameterized.TestCase):
  @parameterized.parameters(1, 4000)
  def test_a_pipe_that_nobody_reads(self, lines):
    # The reader is gone before the command starts.
    done = run('(sleep 0.2; "$@") | true', lines)
    self.assertEqual((done.returncode, done.stderr), (141, ''))

  @parameterized.parameters(
    ('"$@" > /dev/full', 1),
    ('"$@" > /dev/full', 4000),
    ('PYTHONUNBUFFERED=1 "$@" > /dev/full', 1),
    ('"$@" --help > /dev/full', 1),
  )
  def test_a_full_disk(self, shell, lines):
    done = run(shell, lines)
    self.assertEqual((done.returncode, done.stderr), (2, _FULL))

  def test_the_exit_code_of_a_failure_stays(self):
    done = run('"$@" > /dev/full', end='sys.exit(1)')
    self.assertEqual((done.returncode, done.stderr), (1, _FULL))

  def test_closed_streams(self):
    # A file that is opened then must not get the number of a stream.
    end = 'print(open("/dev/null").fileno() > 2, file=open("/dev/stderr", "w"))'
    done = run('"$@" >&- <&-', end=end)
    self.assertEqual((done.returncode, done.stderr), (0, 'True\n'))
    for shell in ('"$@" 2>&-', '"$@" 2>/dev/full', '"$@" --x 2>/dev/full',
                  '"$@" --x 2>&-'):  # fmt: skip
      done = run(shell)
      failed = '--x' in shell
      self.assertEqual(done.returncode, 2 if failed else 0, shell)
      self.assertEqual(done.stdout, '' if failed else 'done\n\n')


class StreamsTest(chex.TestCase):
  def test_errors_of_standard_output_can_be_told(self):
    with (
      open('/dev/full', 'w') as full,
      contextlib.redirect_stdout(full),
    ):
      streams.prepare()
      print('ä', flush=False)
      with self.assertRaises(streams.StdoutError) as failed:
        sys.stdout.flush()
      streams.give_up(sys.stdout)
      sys.stdout.flush()
    self.assertEqual(failed.exception.errno, errno.ENOSPC)

  def test_names_that_the_terminal_has_no_letters_for(self):
    with tempfile.TemporaryFile('w+', encoding='ascii') as file:
      with contextlib.redirect_stdout(file):
        streams.prepare()
        print('ä')
        sys.stdout.flush()
      file.seek(0)
      self.assertEqual(file.read(), '\\xe4\n')

  def test_other_streams_stay_as_they_are(self):
    with mock.patch.object(sys, 'stdout', io.StringIO()) as stream:
      streams.prepare()
      self.assertIs(sys.stdout, stream)
      streams.give_up(stream)
