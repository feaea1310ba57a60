"""TensorFlow as a reader of data and a writer of logs, off the accelerators.

Import `tf` from here: all accelerator memory belongs to JAX, and what
TensorFlow says about drivers while it loads is of no use to users.
"""

import contextlib
import os


@contextlib.contextmanager
def _quiet():
  """Drops what libraries in C and C++ write to the error stream."""
  kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  os.dup2(nowhere, 2)
  try:
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
    os.close(nowhere)


with _quiet():
  import tensorflow as tf

  tf.config.set_visible_devices([], 'GPU')
  tf.config.set_visible_devices([], 'TPU')
  # TensorFlow looks for devices, and writes about them, at its first use.
  tf.constant(0)

__all__ = ['tf']
