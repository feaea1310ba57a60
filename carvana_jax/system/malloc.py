"""Settings of the C library that hands out memory to this process."""

import ctypes
import platform

from carvana_jax.system import threads

# With sixteen cores and an H100 the first step of `fast` took more than 150 s,
# and 24 s without, but not every time (benchmarks/README.md, On one H100).
_MOST_CORES = 4
# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = -1


def keep_freed() -> None:
  """Keeps freed memory for the next training step, where cores are few.

  A training step on a CPU allocates some hundred megabytes and frees them. By
  default glibc returns these to the system, which has to clear every page again
  in the next step; that takes a fifth of the time.

  A command calls this function above its other imports. Some of these start
  threads, and the memory pools that threads have by then stay in use.
  """
  if platform.libc_ver()[0] != 'glibc' or threads.core_count() > _MOST_CORES:
    return
  set_ = ctypes.CDLL(None).mallopt
  set_(_MMAP_MAX, 0)  # no blocks that are returned as soon as they are freed
  set_(_TRIM_THRESHOLD, _NEVER)
  set_(_ARENA_MAX, 1)  # the pools of threads are too small for such blocks
