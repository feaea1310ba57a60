"""Cores at hand, not those of the machine."""

import os
import subprocess
import sys

from absl.testing import absltest

from tests.helpers.commands import ROOT

_CODE = (
  'import os; from carvana_jax.system import cores; '
  'before = cores.count(); '
  'os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); '
  'print(before, cores.count())'
)


class CountTest(absltest.TestCase):
  def test_a_set_of_one_core_is_heeded(self):
    count = subprocess.run(
      [sys.executable, '-c', _CODE],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=True,
    )
    self.assertEqual(count.stdout, f'{len(os.sched_getaffinity(0))} 1\n')
