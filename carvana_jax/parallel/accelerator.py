"""What is worth knowing of an accelerator when a run starts on it."""

import importlib.metadata
import os
import pathlib
import re

import jax
from jax.extend import backend

from carvana_jax.parallel import device_memory

_DRIVER = pathlib.Path('/proc/driver/nvidia/version')
# XLA's autotuner takes the first plan that compiles where one of them is set,
# see `select_first_config` in its xla/service/gpu/autotuning.
_UNTUNED = ('xla_gpu_deterministic_ops', 'xla_gpu_exclude_nondeterministic_ops')


def facts() -> dict[str, str]:
  """Returns memory, versions and precision of the devices; {} of a CPU's."""
  platform = jax.default_backend()
  if platform == 'cpu':
    return {}
  found = {}
  size = device_memory.per_device()
  if size:
    found['memory'] = f'{size / 1e9:.1f} GB of each device for JAX'
  if platform == 'gpu':
    found |= {'driver': _versions(), 'precision': _precision()}
  return found


def warnings() -> list[str]:
  """Returns a line for each setting that makes a GPU slow."""
  if jax.default_backend() != 'gpu':
    return []
  found = re.findall(r'--(\w+)(?:=(\w+))?', os.environ.get('XLA_FLAGS', ''))
  return [
    f'--{name} in XLA_FLAGS makes XLA take the first plan of every '
    'convolution in the place of the fastest; see docs/accelerators.md.'
    for name, value in found
    if name in _UNTUNED and value.lower() in ('', 'true', '1')
  ]


def _versions():
  """Returns the versions of NVIDIA's driver, CUDA and cuDNN, as far as known.

  Of another maker's GPU, what JAX calls its platform.
  """
  platform = ' '.join(backend.get_backend().platform_version.split())
  cuda = re.search(r'cuda (\d+)', platform)
  if not cuda:
    return platform
  number = int(cuda[1])  # 13000: 13.0
  major, minor = number // 1000, number % 1000 // 10
  versions = [f'CUDA {major}.{minor}']
  try:
    driver = re.search(r' (\d{3,}\.[\d.]+)', _DRIVER.read_text())
    versions.insert(0, driver[1])
  except (OSError, TypeError):  # no such file; nothing like a version in it
    pass
  try:
    cudnn = importlib.metadata.version(f'nvidia-cudnn-cu{major}')
    versions.append(f'cuDNN {cudnn}')
  except importlib.metadata.PackageNotFoundError:
    pass
  return ', '.join(versions)


def _precision():
  """Returns how exact the products of float32 numbers are."""
  chosen = jax.config.jax_default_matmul_precision
  if chosen in ('highest', 'float32', 'F32_F32_F32'):
    return f'float32 (jax_default_matmul_precision={chosen})'
  if chosen in (None, 'default', 'high', 'bfloat16', 'tensorfloat32'):
    return (
      'TF32 in float32 convolutions and products, from Ampere on '
      f'(jax_default_matmul_precision={chosen})'
    )
  return f'jax_default_matmul_precision={chosen}'
