"""Keeps compiled programs on disk for later processes.

They are in carvana_jax/ below the user's cache folder ($XDG_CACHE_HOME or
~/.cache), unless JAX_COMPILATION_CACHE_DIR names another folder. On a GPU, XLA
keeps beside them which of its ways to compute an operation was the fastest, one
small file each, which the first process writes as soon as it is known. To find
that out probably takes most of the time to the first step, and another program
of the same layers needs it, too.
JAX_ENABLE_COMPILATION_CACHE=false turns the cache off, as for any use of JAX.
"""

import contextlib
import os
import pathlib
import tempfile
import warnings
import zlib

import jax
from absl import logging

from carvana_jax.parallel import devices
from carvana_jax.system import files, threads
from carvana_jax.system.errors import UserError

_LARGEST = 2**30  # bytes of all programs together


def use() -> None:
  """Lets JAX read compiled programs from the cache, and add new ones to it.

  Call it after the devices are chosen and before anything is compiled. Nothing
  fails for want of a cache; --verbosity=0 tells why there is none.

  Raises:
    UserError: JAX finds none of the devices that it is told to use.
  """
  devices.refuse_absent_platform()
  if not jax.config.jax_enable_compilation_cache:
    return
  try:
    root = os.environ.get('JAX_COMPILATION_CACHE_DIR') or _default()
    folder = f'{root}/{_variant()}'
    if '://' not in folder:  # else in a cloud, which JAX can use
      _tidy(pathlib.Path(root), pathlib.Path(folder))
  except (OSError, UserError) as error:
    logging.info(
      'compiled programs are not kept (%s); name another folder with '
      'JAX_COMPILATION_CACHE_DIR, or JAX_ENABLE_COMPILATION_CACHE=false.',
      error,
    )
    jax.config.update('jax_enable_compilation_cache', False)
    return
  jax.config.update('jax_compilation_cache_dir', folder)
  if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
    # Dozens of small programs take as long to compile as a large one.
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  # A full disk would cause a warning per program, which would bury all else.
  warnings.filterwarnings(
    'ignore', 'Error (reading|writing) persistent compilation cache'
  )


def _default():
  caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return files.expand(caches) / 'carvana_jax'


def _variant():
  """Names what results depend on in their last bits, but JAX's keys do not.

  On a CPU, XLA splits sums by its threads, one per core or device. The keys of
  accelerators' programs, and of what XLA measured, hold the kind of device.
  """
  if jax.default_backend() != 'cpu':
    return f'jax-{jax.__version__}'
  count = os.environ.get('NPROC') or threads.core_count()
  return f'jax-{jax.__version__}-{jax.local_device_count()}x{count}'


def _tidy(root, folder):
  """Makes the folder, and removes damaged programs and the oldest of too many.

  Raises:
    OSError: the folder can't be written to.
  """
  folder.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryFile(dir=folder):
    pass
  _remove_damaged(folder)
  entries = []
  for path in root.glob('jax-*/*-cache'):
    # Another process removed it, or it is another user's.
    with contextlib.suppress(OSError):
      stat = path.stat()
      entries.append((stat.st_atime, stat.st_size, path))
  total = sum(size for _, size, _ in entries)
  for _, size, path in sorted(entries):
    if total <= _LARGEST:
      break
    with contextlib.suppress(OSError):  # as above
      path.unlink()
      total -= size


def _remove_damaged(folder):
  """Removes programs that a killed process or a full disk left in part.

  JAX would keep them for ever. No program is written twice, so it is enough to
  look at those written since the last call.
  """
  mark = folder / 'checked'
  since = mark.stat().st_mtime if mark.exists() else 0
  with contextlib.suppress(OSError):  # as above
    mark.touch()
  for path in folder.glob('*-cache'):
    with contextlib.suppress(OSError):  # as above
      if path.stat().st_mtime >= since and not _is_whole(path.read_bytes()):
        path.unlink()


def _is_whole(entry):
  if not entry or entry.startswith(b'\x78'):  # else zlib did not write it
    try:
      zlib.decompress(entry)
    except zlib.error:
      return False
  return True
