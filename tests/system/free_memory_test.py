"""Free memory, from a tree of files as Linux has them."""

import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest

from carvana_jax.system import free_memory


class FreeMemoryTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.enterContext(mock.patch.object(free_memory, '_ROOT', self.root))

  def write(self, name, text):
    path = self.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

  def machine(self, groups):
    meminfo = 'MemTotal: 20 kB\nMemFree: 1 kB\nMemAvailable: 9 kB\nPages: 3\n'
    self.write('proc/meminfo', meminfo)
    self.write('proc/self/cgroup', groups)

  def group(self, place, limit, used, cache):
    self.write(f'sys/fs/cgroup/{place}/memory.max', f'{limit}\n')
    self.write(f'sys/fs/cgroup/{place}/memory.current', f'{used}\n')
    stat = f'anon 1\ninactive_file {cache}\n'
    self.write(f'sys/fs/cgroup/{place}/memory.stat', stat)

  def test_without_limits(self):
    self.machine('0::/job\n')
    self.group('job', 'max', 100, 10)
    self.assertEqual(free_memory.free_memory(), 9 * 1024)

  def test_the_least_of_all_limits_above(self):
    self.machine('0::/job/task\n')
    self.group('job/task', 5000, 3000, 400)
    self.group('job', 4000, 3500, 700)  # 500 left, and a cache of 700
    self.assertEqual(free_memory.free_memory(), 1200)

  def test_nothing_left(self):
    self.machine('0::/\n')
    self.group('.', 1000, 1100, 10)
    self.assertEqual(free_memory.free_memory(), 0)

  def test_version_1_in_a_container_that_shows_its_own_group_as_the_top(self):
    self.machine('5:cpu:/x\n4:hugetlb,memory:/docker/abc\n0::/\n')
    top = 'sys/fs/cgroup/memory'
    self.write(f'{top}/memory.limit_in_bytes', '4000')
    self.write(f'{top}/memory.usage_in_bytes', '1000')
    self.write(f'{top}/memory.stat', 'inactive_file 1\ntotal_inactive_file 50')
    self.assertEqual(free_memory.free_memory(), 3050)

  def test_other_systems(self):
    self.assertIsNone(free_memory.free_memory())


class ThisMachineTest(absltest.TestCase):
  def test_is_no_more_than_there_is(self):
    free = free_memory.free_memory()
    if free is not None:
      self.assertBetween(free, 1, 1 << 50)


if __name__ == '__main__':
  absltest.main()
