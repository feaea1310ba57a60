"""Settings of the C library that hands out memory to this process."""

import ctypes
import glob
import os
import platform

from carvana_jax.system import threads

# With sixteen cores and an H100 the first step of `fast` took more than 150 s,
# and 24 s without, but not every time (benchmarks/README.md, On one H100).
_MOST_CORES = 4
# Device files of accelerators: as JAX looks for NVIDIA's GPUs, natively, in
# containers and in Windows (jax/_src/hardware_utils.py); of AMD's GPUs; of TPUs
# up to v4 and of later ones.
_ACCELERATORS = (
  '/dev/nvidia0',
  '/dev/nvidiactl',
  '/dev/dxg',
  '/dev/kfd',
  '/dev/accel[0-9]*',
  '/dev/vfio/[0-9]*',
)
# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
_NEVER = -1
_LARGEST_KEPT = 32 * 2**20  # bytes, the most that glibc allows
_MOST_KEPT = 256 * 2**20  # bytes


def keep_freed() -> None:
  """Keeps freed memory for the next step, on a CPU of few cores.

  A training step on a CPU allocates some hundred megabytes and frees them. By
  default glibc returns these to the system, which has to clear every page again
  in the next step; that takes a fifth of the time. Where an accelerator does
  the steps, many threads of the host compile at once, and would wait for the
  one arena, however few its cores.

  A command calls this function above its other imports. Some of these start
  threads, and the memory pools that threads have by then stay in use.
  """
  if (
    not _is_glibc() or threads.core_count() > _MOST_CORES or _has_accelerator()
  ):
    return
  set_ = ctypes.CDLL(None).mallopt
  set_(_MMAP_MAX, 0)  # no blocks that are returned as soon as they are freed
  set_(_TRIM_THRESHOLD, _NEVER)
  set_(_ARENA_MAX, 1)  # the pools of threads are too small for such blocks


def keep_freed_photos() -> None:
  """Keeps the memory of some photos for the next ones, for a server.

  As in `keep_freed`, pages that are new to the process cost a fifth of the
  time. What only very large photos need goes back to the system.
  """
  if _is_glibc():
    set_ = ctypes.CDLL(None).mallopt
    set_(_MMAP_THRESHOLD, _LARGEST_KEPT)
    set_(_TRIM_THRESHOLD, _MOST_KEPT)
    set_(_ARENA_MAX, 1)


def _is_glibc():
  return platform.libc_ver()[0] == 'glibc'


def _has_accelerator():
  """Guesses what JAX will choose, which is not to be imported yet."""
  if platforms := os.environ.get('JAX_PLATFORMS'):
    return platforms.split(',')[0] != 'cpu'  # the first one is used
  return any(map(glob.glob, _ACCELERATORS))
