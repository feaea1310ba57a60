"""Freed memory is kept, so that a step need not clear its pages anew."""

import subprocess
import sys
import unittest

import chex
from absl.testing import parameterized

# Takes, fills and frees 100 MB ten times, as the steps of a training do, in a
# thread; prints how many pages the system had to clear for it. Before that a
# command does all that it does but its work, or nothing is done.
CODE = """
import ctypes, resource, runpy, sys, threading
from carvana_jax import cli
cli.run = lambda main: None
if sys.argv.pop(1) == 'command':
  runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def step():
  block = ctypes.c_void_p(libc.malloc(10**8))
  ctypes.memset(block, 1, 10**8)
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
    ('submit', '--workdir=a', '--input=a', '--output=b'),
  )
  def test_commands_clear_pages_once(self, name, *options):
    # 10 times 100 MB are some 244,000 pages of 4 kB, or 480 of 2 MB.
    self.assertLess(_pages('command', f'carvana_jax.{name}', *options), 100)

  def test_by_default_they_are_cleared_again(self):
    self.assertGreater(_pages('nothing'), 400)


def _pages(*words):
  if not sys.platform.startswith('linux'):
    raise unittest.SkipTest('of glibc')
  words = [sys.executable, '-c', CODE, *words]
  said = subprocess.run(words, capture_output=True, check=True, text=True)
  return int(said.stdout)
