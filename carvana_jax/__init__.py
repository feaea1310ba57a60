"""Removes the studio background from photos of cars, in JAX and Flax.

A command, `python -m carvana_jax.VERB`, ends here, with one line and exit code
2, where Python is too old or lacks a dependency.
"""

import importlib.util
import sys

_MODULES = (  # of the dependencies in pyproject.toml
  'absl', 'ml_collections', 'numpy', 'jax', 'flax', 'optax', 'orbax', 'etils',
  'tensorboard', 'tensorflow_datasets', 'cv2', 'PIL', 'scipy', 'dm_pix',
  'matplotlib', 'h5py', 'safetensors', 'simplejpeg', 'tqdm', 'filelock',
)  # fmt: skip


def _refuse_this_python():
  missing = [name for name in _MODULES if not importlib.util.find_spec(name)]
  if sys.version_info < (3, 11):  # noqa: UP036, as it is of older ones
    reason = f'Python 3.11 or newer is needed, not {sys.version.split()[0]}'
  elif missing:
    reason = f'{sys.executable} lacks {", ".join(missing)}'
  else:
    return
  print(
    f'error: {reason}; use bash run.sh VERB FLAGS, which installs all that is '
    'needed into .venv.',
    file=sys.stderr,
  )
  sys.exit(2)


if sys.argv[:1] == ['-m']:  # while Python looks for the module of a command
  _refuse_this_python()
