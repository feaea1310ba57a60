"""Cores at hand, not those of the machine."""

import os
import subprocess
import sys

from absl.testing import absltest

from tests.commands import ROOT

_CODE = 'from carvana_jax import cores; print(cores.count())'


class CountTest(absltest.TestCase):
  def test_one_core_is_left_by_taskset(self):
    core = min(os.sched_getaffinity(0))
    count = subprocess.run(
      [sys.executable, '-c', _CODE],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=True,
      preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    self.assertEqual(count.stdout, '1\n')
