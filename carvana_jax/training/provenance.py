"""Collects what a run was started with: command, commit, versions, devices."""

import importlib.metadata
import pathlib
import shlex
import subprocess
import sys
import time

import jax
from ml_collections import ConfigDict

from carvana_jax.parallel import accelerator
from carvana_jax.training import batch_fit

_PACKAGES = ('jax', 'flax', 'optax', 'orbax-checkpoint')


def facts(workdir: pathlib.Path) -> dict[str, str]:
  """Returns time, command, commit, versions, devices and workdir.

  Of accelerators also what `accelerator.facts` tells.

  Args:
    workdir: the run's folder.
  """
  devices = jax.devices()
  versions = (
    f'{name} {importlib.metadata.version(name)}' for name in _PACKAGES
  )
  return {
    'time': time.strftime('%Y-%m-%d %H:%M:%S%z'),
    'command': shlex.join(['python', *sys.orig_argv[1:]]),
    'commit': commit(),
    'versions': f'python {sys.version.split()[0]}, {", ".join(versions)}',
    'devices': (
      f'{len(devices)} x {devices[0].device_kind}, '
      f'{jax.process_count()} process(es)'
    ),
    **accelerator.facts(),
    'workdir': str(workdir),
  }


def describe(start: dict[str, str], config: ConfigDict) -> str:
  """Returns the `facts` of a start, the config and warnings, a line each."""
  warnings = accelerator.warnings() + batch_fit.warnings(config)
  lines = [
    *start.items(),
    ('batch', batch_fit.describe(config)),
    ('config', config.to_json()),
    *[('warning', warning) for warning in warnings],
  ]
  return '\n'.join(f'{name:9} {text}' for name, text in lines)


def commit() -> str:
  """Returns the git commit, with a '+' where files were changed since.

  Installed elsewhere, the package may lie in a folder of another repository,
  whose commit says nothing about it.
  """
  file = pathlib.Path(__file__)

  def git(*command):
    return subprocess.run(
      ['git', *command],
      cwd=file.parent,
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()

  try:
    git('ls-files', '--error-unmatch', file.name)
    changed = '+' if git('status', '--porcelain') else ''
    return git('rev-parse', '--short', 'HEAD') + changed
  except (OSError, subprocess.CalledProcessError):
    return 'not under git'
