"""Writes X.safetensors and X.json, see `training/network_file.py`."""

import dataclasses
import json
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from carvana_jax.configs import default
from carvana_jax.inference import networks
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import network_file, provenance, trained_run

PRECISIONS = ('float32', 'float16')
# Fields of `config.data` that hold paths of the machine that trained.
_PATHS = ('data_dir', 'manual_dir', 'pseudo_labels')


def write(nets: networks.Networks, path: pathlib.Path, precision: str) -> None:
  """Writes a network, and its second one where it has one.

  Args:
    nets: the network; what masks are made of it by becomes that of its config.
    path: X.safetensors; X.json is written last.
    precision: one of `PRECISIONS`. With float16, arrays of one dimension, which
      are few numbers, stay float32.

  Raises:
    UserError: there are several networks, one of the files exists, or a number
      is too large for float16.
  """
  if len(nets.runs) > 1:
    raise UserError(
      f'{path} can hold one network, not {len(nets.runs)}; give one --workdir, '
      'of one run.'
    )
  paths = path, network_file.facts_path(path)
  for one in paths:
    if one.exists():
      raise UserError(f'{one} exists; choose another --output.')
  run = nets.runs[0]
  arrays = arrays_of(run, precision, path)
  facts = {
    'format': network_file.FORMAT,
    **_facts(run, nets, arrays),
    'commit': provenance.commit(),
  }
  if run.fine:
    second = arrays_of(run.fine, precision, path)
    facts[network_file.FINE] = _facts(run.fine, nets, second)
    arrays |= {f'{network_file.FINE}/{name}': x for name, x in second.items()}
  files.write(paths[0], safetensors.numpy.save(arrays))
  files.write(paths[1], json.dumps(facts, indent=1) + '\n')


def arrays_of(
  run: trained_run.Run, precision: str, path: pathlib.Path
) -> dict[str, np.ndarray]:
  """Returns the arrays of a network by name, as they are written.

  Args:
    run: the network.
    precision: see `write`.
    path: of the file, for the error.

  Raises:
    UserError: a number is too large for float16.
  """
  arrays = {}
  for where, leaf in jax.tree_util.tree_leaves_with_path(run.variables):
    name, array = network_file.name_of(where), np.asarray(leaf)
    if precision == 'float16' and array.ndim > 1:
      with np.errstate(over='ignore'):
        array = array.astype(np.float16)
      if not np.isfinite(array).all():
        raise UserError(
          f'{path} cannot hold {name} as float16, whose largest number is '
          '65504; leave out --precision.'
        )
    arrays[name] = np.ascontiguousarray(array)
  return arrays


def _facts(run, nets, arrays):
  """What X.json says of a network; no path of this machine."""
  return {
    'network': _as_read(run, arrays).digest(),
    'step': run.step,
    'data': run.data,
    'init': _start(run.start),
    'config': _config(run, nets.masking).to_dict(),
  }


def _as_read(run, arrays):
  """Returns the network that is read from these arrays."""
  variables = jax.tree_util.tree_map_with_path(
    lambda where, leaf: arrays[network_file.name_of(where)].astype(leaf.dtype),
    run.variables,
  )
  return dataclasses.replace(run, variables=variables, fine=None)


def _config(run, masking):
  config = run.config.copy_and_resolve_references()
  usual = default.get_config().data
  for name in _PATHS:
    config.data[name] = usual[name]
  if config.data.coarse:
    config.data.coarse = 'coarse'  # what follows from it is that there is one
  config.train.init_from = pathlib.PurePath(config.train.init_from).name
  for name in ('threshold', 'fill_holes', 'keep_largest'):
    config.eval[name] = masking[name]
  return config


def _start(start: dict[str, Any] | None) -> dict[str, Any] | None:
  """What it started from, without the names of what it took."""
  if not start:
    return None
  return {
    'folder': pathlib.PurePath(start['folder']).name,
    **{name: start[name] for name in ('network', 'step', 'seen')},
  }
