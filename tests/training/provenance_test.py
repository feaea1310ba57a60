"""The commit of a run, wherever the package lies."""

import pathlib
import subprocess
import tempfile
from unittest import mock

import chex

from carvana_jax.training import provenance


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
