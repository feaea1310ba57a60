"""Removes the studio background from photos of cars, in JAX and Flax.

    from carvana_jax import Remover

A command, `python -m carvana_jax.VERB`, ends here, with one line and exit code
2, where Python is too old or lacks a dependency.
"""

import importlib
import importlib.util
import pathlib
import sys

# What the package offers, by the module it is in. Loaded when it is asked for,
# as most commands and rooms do without.
_OFFERED = {
  'Remover': 'carvana_jax.portable.remover',
  'UserError': 'carvana_jax.system.errors',
}
__all__ = list(_OFFERED)

# What is imported, by the extra of pyproject.toml that brings it; '': none.
_MODULES = {
  '': ('numpy', 'cv2', 'PIL', 'onnxruntime'),
  'serve': (
    'absl', 'ml_collections', 'starlette', 'uvicorn', 'h11',
    'prometheus_client',
  ),
  'train': (
    'absl', 'ml_collections', 'jax', 'flax', 'optax', 'orbax', 'etils',
    'tensorboard', 'tensorflow_datasets', 'scipy', 'dm_pix', 'matplotlib',
    'h5py', 'safetensors', 'simplejpeg', 'tqdm', 'filelock', 'onnx',
  ),
}  # fmt: skip


def __getattr__(name: str):
  """Loads what the package offers."""
  if name not in _OFFERED:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
  return [*globals(), *__all__]


def _refuse_this_python():
  words = getattr(sys, 'orig_argv', sys.argv)  # not in Python 3.9
  serves = words[-len(sys.argv)].endswith('carvana_jax.serve')
  extra = 'serve' if serves else 'train'
  missing = [
    name
    for name in (*_MODULES[extra], *_MODULES[''])
    if not importlib.util.find_spec(name)
  ]
  if sys.version_info < (3, 11):  # noqa: UP036, as it is of older ones
    reason = f'Python 3.11 or newer is needed, not {sys.version.split()[0]}'
  elif missing:
    reason = f'{sys.executable} lacks {", ".join(missing)}'
  else:
    return
  if (pathlib.Path(__file__).parents[1] / 'run.sh').exists():
    remedy = (
      'use bash run.sh VERB FLAGS, which installs all that is needed into .venv'
    )
  else:
    remedy = f"give pip install '.[{extra}]' in the project's folder"
  print(f'error: {reason}; {remedy}.', file=sys.stderr)
  sys.exit(2)


if sys.argv[:1] == ['-m']:  # while Python looks for the module of a command
  _refuse_this_python()
