"""Freed memory is kept, so that a step need not clear its pages anew."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import chex
from absl.testing import parameterized
from jax._src import hardware_utils

from carvana_jax.system import malloc

# Takes, fills and frees 100 MB, or BYTES, ten times, as the steps of a training
# do, in a thread; prints how many pages the system had to clear for it. Before
# that a command does all that it does but its work on so many cores, or nothing
# at all.
CODE = """
import ctypes, os, resource, runpy, sys, threading
from carvana_jax.system import cli, threads
cli.run = lambda main: None
given = int(sys.argv.pop(1))
threads.core_count = lambda: given
if len(sys.argv) > 1:
  runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def step():
  size = int(os.environ.get('BYTES', 10**8))
  block = ctypes.c_void_p(libc.malloc(size))
  ctypes.memset(block, 1, size)
  libc.free(block)
def steps():
  step()
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  for _ in range(10):
    step()
  print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


class KeepFreedTest(chex.TestCase):
  @parameterized.parameters(
    ('main', '--config=configs/debug.py'),
    ('crossval', '--config=configs/debug.py', '--workdir=a'),
    ('evaluate', '--workdir=a'),
    ('predict', '--workdir=a', '--input=a', '--output=b'),
    ('refine', '--config=configs/fine.py', '--workdir=a'),
    ('submit', '--workdir=a', '--input=a', '--output=b'),
  )
  def test_commands_clear_pages_once(self, name, *options):
    # 10 times 100 MB are some 244,000 pages of 4 kB, or 480 of 2 MB.
    self.assertLess(_pages(2, f'carvana_jax.{name}', *options), 100)

  @parameterized.parameters((2 * 10**7, True), (10**8, False))
  def test_the_server_keeps_what_common_photos_need(self, size, is_kept):
    with mock.patch.dict(os.environ, BYTES=str(size)):
      pages = _pages(2, 'carvana_jax.serve')
    self.assertEqual(pages < 50, is_kept, pages)

  def test_the_benchmark_of_whole_jobs_clears_them_once(self):
    with tempfile.TemporaryDirectory() as folder:
      job = pathlib.Path(folder, 'job.json')
      job.write_text('{}')
      words = 'benchmarks.own_whole', str(job), '--config=configs/debug.py'
      self.assertLess(_pages(2, *words), 100)

  def test_on_many_cores_they_are_cleared_again(self):
    command = 'carvana_jax.main', '--config=configs/debug.py'
    self.assertGreater(_pages(16, *command), 400)

  def test_by_default_they_are_cleared_again(self):
    self.assertGreater(_pages(2), 400)


class HasAcceleratorTest(chex.TestCase):
  @parameterized.parameters(
    ('cpu', True, False), ('cpu,cuda', True, False), ('cuda', False, True),
    ('tpu,cpu', False, True), ('', True, True), ('', False, False),
  )  # fmt: skip
  def test_as_jax_chooses(self, platforms, is_present, expected):
    with tempfile.TemporaryDirectory() as folder:
      if is_present:
        pathlib.Path(folder, 'vfio3').touch()
      files = f'{folder}/nvidia0', f'{folder}/vfio[0-9]*'
      with (
        mock.patch.dict(os.environ, JAX_PLATFORMS=platforms),
        mock.patch.object(malloc, '_ACCELERATORS', files),
      ):
        self.assertEqual(malloc._has_accelerator(), expected)

  @parameterized.parameters((False, True), (True, False))
  def test_decides_whether_memory_is_kept(self, present, expected):
    with (
      mock.patch.object(malloc, '_has_accelerator', lambda: present),
      mock.patch.object(malloc.threads, 'core_count', lambda: 2),
      mock.patch.object(malloc.platform, 'libc_ver', lambda: ('glibc', '2')),
      mock.patch.object(malloc.ctypes, 'CDLL') as library,
    ):
      malloc.keep_freed()
    self.assertEqual(library.called, expected)

  def test_looks_for_nvidia_s_files_as_jax_does(self):
    self.assertContainsSubset(
      hardware_utils._NVIDIA_GPU_DEVICES, malloc._ACCELERATORS
    )


def _pages(count, *words, platforms='cpu'):
  if not sys.platform.startswith('linux'):
    raise unittest.SkipTest('of glibc')
  words = [sys.executable, '-c', CODE, str(count), *words]
  said = subprocess.run(
    words,
    env=os.environ | {'JAX_PLATFORMS': platforms},
    capture_output=True,
    check=True,
    text=True,
  )
  return int(said.stdout)
