"""How the C library hands out memory to this process."""

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
  """Keeps freed memory for the next step, where there are few cores.

  A command calls this above its other imports: some of those start threads,
  and what threads have of their own by then stays in use.

  A training step on a CPU takes some hundred megabytes and frees them. By
  default glibc gives these back to the system, which then clears every page
  anew in the next step: a fifth of the time.
  """
  if platform.libc_ver()[0] != 'glibc' or threads.core_count() > _MOST_CORES:
    return
  set_ = ctypes.CDLL(None).mallopt
  set_(_MMAP_MAX, 0)  # no blocks that are given back as soon as they are freed
  set_(_TRIM_THRESHOLD, _NEVER)
  set_(_ARENA_MAX, 1)  # those of threads are too small for such blocks
