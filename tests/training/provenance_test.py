"""The header of a run, and its commit, wherever the package lies."""

import pathlib
import subprocess
import tempfile
from unittest import mock

import chex
import jax

from carvana_jax.configs import debug
from carvana_jax.parallel import accelerator
from carvana_jax.training import provenance


class HeaderTest(chex.TestCase):
  def header(self):
    start = provenance.facts(pathlib.Path('runs/a'))
    text = provenance.describe(start, debug.get_config())
    lines = [line.split(None, 1) for line in text.splitlines()]
    return [name for name, _ in lines], dict(lines)

  def test_of_a_cpu(self):
    names, lines = self.header()
    self.assertEqual(
      names,
      ['time', 'command', 'commit', 'versions', 'devices', 'workdir', 'batch',
       'config'],
    )  # fmt: skip
    self.assertEqual(lines['batch'], '16 images, 8 a device')

  def test_of_a_gpu(self):
    with (
      mock.patch.object(jax, 'default_backend', lambda: 'gpu'),
      mock.patch.object(jax, 'device_count', lambda: 8),
      mock.patch.object(accelerator, 'facts', lambda: {'memory': '64 GB'}),
      mock.patch.object(accelerator, 'warnings', lambda: ['--slow is slow.']),
    ):
      names, lines = self.header()
    self.assertEqual(names[5:7], ['memory', 'workdir'])
    self.assertEqual(names[-3:], ['config', 'warning', 'warning'])
    self.assertEqual(lines['batch'], '16 images, 2 a device')
    self.assertIn('too few', lines['warning'])


class CommitTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    # As if installed in a folder of a project that may be under git.
    self.file = root / 'project' / 'environment' / 'provenance.py'
    self.project = self.file.parents[1]
    self.file.parent.mkdir(parents=True)
    self.file.touch()
    self.enterContext(mock.patch.object(provenance, '__file__', self.file))

  def git(self, *words):
    return subprocess.run(
      ['git', '-c', 'user.name=a', '-c', 'user.email=a@b', *words],
      cwd=self.project, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

  def test_not_under_git(self):
    self.assertEqual(provenance.commit(), 'not under git')

  def test_in_a_folder_of_another_repository(self):
    self.git('init')
    self.git('commit', '--allow-empty', '-m', 'Another project')
    self.assertEqual(provenance.commit(), 'not under git')

  def test_of_its_own_repository(self):
    self.git('init')
    self.git('add', self.file)
    self.git('commit', '-m', 'First')
    commit = self.git('rev-parse', '--short', 'HEAD').strip()
    self.assertEqual(provenance.commit(), commit)
    (self.project / 'new').touch()
    self.assertEqual(provenance.commit(), f'{commit}+')
