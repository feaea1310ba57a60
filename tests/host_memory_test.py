"""Freed memory is kept, so that a step need not clear its pages anew."""

import subprocess
import sys

import chex
from absl.testing import parameterized

# Takes, fills and frees 100 MB ten times, as the steps of a training do, in a
# thread; prints how many pages the system had to clear for it.
CODE = """
import ctypes, resource, sys, threading
from carvana_jax import host_memory
if sys.argv[1] == 'keep':
  host_memory.keep_freed()
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
  @parameterized.parameters('keep', 'default')
  def test_pages_are_cleared_once(self, mode):
    if not sys.platform.startswith('linux'):
      self.skipTest('of glibc')
    words = [sys.executable, '-c', CODE, mode]
    pages = int(subprocess.run(words, capture_output=True, check=True).stdout)
    # 10 times 100 MB are some 244,000 pages of 4 kB, or 480 of 2 MB.
    if mode == 'keep':
      self.assertLess(pages, 100)
    else:
      self.assertGreater(pages, 400)
