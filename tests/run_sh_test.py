"""run.sh: what it starts, and what it says before it installs anything."""

import pathlib
import shutil
import subprocess
import tempfile

import chex

from tests.helpers.commands import ROOT


class RunShTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(root) / 'checkout'
    self.folder.mkdir()
    shutil.copytree(ROOT / 'carvana_jax', self.folder / 'carvana_jax')
    shutil.copy(ROOT / 'run.sh', self.folder)
    shutil.copy(ROOT / 'requirements.txt', self.folder)

  def stub(self, path, script):
    """Stands in for a Python; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return path

  def run_sh(self, *words, python='python3'):
    return subprocess.run(
      ['bash', self.folder / 'run.sh', *words],
      env={'PATH': '/usr/bin:/bin', 'PYTHON': str(python)},
      capture_output=True,
      text=True,
      check=False,
    )

  def test_passes_its_words_on(self):
    self.stub(self.folder / '.venv' / 'bin' / 'python', 'echo "$@"')
    shutil.copy(ROOT / 'requirements.txt', self.folder / '.venv')
    for words, expected in (
      ([], '-m carvana_jax.main --config=configs/studio.py'),
      (['test', '-k', 'x'], '-m pytest -k x'),
      (['--config=c.py', '--workdir=a b'],
       '-m carvana_jax.main --config=c.py --workdir=a b'),
      (['evaluate', '--workdir=a'], '-m carvana_jax.evaluate --workdir=a'),
      (['main', '--help'], '-m carvana_jax.main --help'),
    ):  # fmt: skip
      result = self.run_sh(*words)
      self.assertEqual(result.stdout, f'{expected}\n', result.stderr)
      self.assertEqual(result.returncode, 0)

  def test_a_mistyped_verb_installs_nothing(self):
    python = self.stub(self.folder / 'python', 'touch used')
    for word in ('train', 'evalaute', 'e.aluate', '__init__', 'configs'):
      result = self.run_sh(word, '--workdir=a', python=python)
      self.assertEqual(result.returncode, 2)
      self.assertRegex(
        result.stderr,
        f"^error: '{word}' is no verb; choose from test .*evaluate.*\n$",
      )
      self.assertEmpty(result.stdout)
      self.assertFalse((self.folder / '.venv').exists())
      self.assertFalse((self.folder / 'used').exists())

  def test_a_verb_installs_first(self):
    python = self.stub(self.folder / 'new_python', (
      'echo "$@" >> told\n'
      'if [ "$2" = venv ]; then mkdir -p .venv/bin; '
      'cp new_python .venv/bin/python; touch .venv/bin/pip; fi'
    ))  # fmt: skip
    result = self.run_sh('report', '--workdir=a', python=python)
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertEqual(result.stdout, 'installing requirements.txt into .venv\n')
    told = (self.folder / 'told').read_text().splitlines()
    self.assertEqual(
      [told[1], told[-1]],
      ['-m venv .venv', '-m carvana_jax.report --workdir=a'],
    )
    self.assertRegex(told[2], '^-m pip install .*-r requirements.txt$')
    self.assertTrue((self.folder / '.venv' / 'requirements.txt').exists())

  def test_an_old_python(self):
    python = self.stub(self.folder / 'old_python', 'exit 1')
    result = self.run_sh('report', python=python)
    self.assertEqual(result.returncode, 2)
    self.assertEqual(
      result.stderr,
      'error: Python 3.11 or newer is needed; set PYTHON=python3.x\n',
    )
