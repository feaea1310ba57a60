"""Several processes of one run end where one process ends."""

import concurrent.futures
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import chex

from carvana_jax.training import trained_run
from tests.helpers import numbered, run_on_hosts
from tests.helpers.commands import QUICK_TO_COMPILE, ROOT, environment


def free_port():
  with socket.socket() as found:
    found.bind(('localhost', 0))
    return found.getsockname()[1]


def start(folder, processes, devices, signal=''):
  """Runs all processes to their end; their results in order."""
  command = [
    sys.executable, '-m', 'tests.helpers.run_on_hosts', f'--folder={folder}',
    f'--signal={signal}',
  ]  # fmt: skip
  others = [[]]
  if processes > 1:
    group = [f'--coordinator=localhost:{free_port()}',
             f'--num_processes={processes}']  # fmt: skip
    others = [[*group, f'--process_id={index}'] for index in range(processes)]

  settings = environment(devices)
  settings['XLA_FLAGS'] += f' {QUICK_TO_COMPILE}'

  def run(flags):
    return subprocess.run(
      [*command, *flags],
      cwd=ROOT,
      env=settings,
      capture_output=True,
      text=True,
      check=False,
      timeout=300,
    )

  with concurrent.futures.ThreadPoolExecutor(processes) as pool:
    return list(pool.map(run, others))


def lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def records(folder):
  """metrics.jsonl without times."""
  found = lines(folder / 'run' / 'metrics.jsonl')
  for line in found:
    for name in ('images_per_second', 'input_wait', 'train_seconds'):
      del line[name]
  return found


def variables(folder):
  return trained_run.load(folder / 'run').variables


class HostsTest(chex.TestCase):
  """Two processes of two devices, against one of four and one of one."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.root = pathlib.Path(folder.name)
    cls.two = cls.new('two')
    cls.started(cls.two, 2, 2)

  @classmethod
  def new(cls, name):
    folder = cls.root / name
    numbered.prepare(folder, run_on_hosts.SPLITS)
    return folder

  @classmethod
  def started(cls, *arguments, code=0):
    """Runs that must end with that exit code."""
    results = start(*arguments)
    for result in results:
      assert result.returncode == code, result.stderr
    return results

  def test_one_process_ends_with_the_same_network(self):
    for devices in (4, 1):
      one = self.new(f'one_with_{devices}')
      self.started(one, 1, devices)
      chex.assert_trees_all_close(
        variables(one), variables(self.two), rtol=1e-3, atol=1e-5
      )
      for a, b in zip(records(one), records(self.two), strict=True):
        chex.assert_trees_all_close(a, b, rtol=1e-3)
      parts = [lines(self.two / f'{index}_of_2.jsonl') for index in (0, 1)]
      joined = [[a[0], a[1] + b[1]] for a, b in zip(*parts, strict=True)]
      self.assertEqual(joined, lines(one / '0_of_1.jsonl'))

  def test_scores_do_not_depend_on_the_number_of_processes(self):
    self.started(self.two, 1, 1)  # training is over, so it only scores
    two, one = (
      json.loads((self.two / f'scores_{name}.json').read_text())
      for name in ('2x2', '1x1')
    )
    self.assertLen(two, run_on_hosts.SPLITS['validation'])
    self.assertEqual(two, one)

  def test_a_signal_to_one_saves_all_and_others_go_on(self):
    folder = self.new('signal')
    first, second = self.started(folder, 2, 2, 'SIGTERM', code=143)
    self.assertRegex(first.stdout, r'\ninterrupted and saved; .*\n$')
    self.assertNotIn('saved', second.stdout)
    (step,) = (
      int(path.name) for path in (folder / 'run' / 'checkpoints').iterdir()
      if int(path.name) > 5
    )  # fmt: skip
    self.assertBetween(step, 6, 9)  # in the second epoch
    other = self.root / 'other'
    shutil.copytree(folder, other)
    self.started(folder, 2, 2)
    chex.assert_trees_all_equal(variables(folder), variables(self.two))
    self.assertEqual(records(folder), records(self.two))
    self.started(other, 1, 4)
    chex.assert_trees_all_close(
      variables(other), variables(self.two), rtol=1e-3, atol=1e-5
    )

  def test_the_death_of_one_ends_the_others_and_the_run_goes_on(self):
    folder = self.new('death')
    first, second = start(folder, 2, 2, 'SIGKILL')
    self.assertEqual(second.returncode, -9)
    # JAX may notice first, and aborts the process.
    self.assertIn(first.returncode, (2, -6))
    self.assertRegex(
      first.stderr, 'a process of the run has ended|another task died'
    )
    self.started(folder, 2, 2)
    chex.assert_trees_all_equal(variables(folder), variables(self.two))
    self.assertEqual(records(folder), records(self.two))
