"""Writes weights that JAX and ONNX Runtime share.

X.safetensors holds the arrays and X.json the config, see
`training/network_file.py`. X.onnx, and X-fine.onnx of a second network, are
graphs whose weights are those in X.safetensors. So one file of weights serves
commands in place of a run, and programs without JAX.
"""

import dataclasses
import json
import os
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from carvana_jax.configs import default
from carvana_jax.exporting import (
  check,
  kinds,
  onnx_file,
  onnx_network,
  run_facts,
)
from carvana_jax.exporting.onnx_graph import Place
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks
from carvana_jax.masks import from_logits
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import network_file, provenance

# Fields of `config.data` that hold paths of the machine that trained.
_PATHS = ('data_dir', 'manual_dir', 'pseudo_labels')


def write(
  nets: networks.Networks, path: pathlib.Path, options: Options
) -> None:
  """Writes a network, and its second one where it has one.

  The graphs are run on photos first, beside JAX; what was found is printed.

  Args:
    nets: the network; how masks are made of what it says becomes that of the
      config.
    path: X.safetensors.
    options: of the export. With float16, arrays of one dimension, which are few
      numbers, stay float32.

  Raises:
    UserError: one of the other files exists, a number is too large for float16,
      or a graph does not do what the network does.
  """
  fine = nets.runs[0].fine
  endings = [network_file.ENDING, '.onnx', *(['-fine.onnx'] if fine else [])]
  # The one that is needed to read the others comes last.
  names = [path.stem + ending for ending in (*endings, '.json')]
  for name in names[1:]:
    kinds.refuse_existing(path.with_name(name))
  half = options.precision == 'float16'
  run = _storable(nets.runs[0], half, path)
  if fine:
    run = dataclasses.replace(run, fine=_storable(fine, half, path))
  nets = nets._replace(runs=[run])
  # Beside the final place, to which they are moved when all are there.
  with tempfile.TemporaryDirectory(dir=path.parent, prefix='.export_') as aside:
    folder = pathlib.Path(aside)
    _write_all(nets, [folder / name for name in names], half, options)
    for name in names:
      os.replace(folder / name, path.with_name(name))
  for name in names:
    size = path.with_name(name).stat().st_size
    print(f'wrote {path.with_name(name)} ({size / 1e6:.2f} MB)')


def _write_all(nets, paths, half, options):
  weights, *graphs, facts_file = paths
  run = nets.runs[0]
  runs = {'': run} | ({f'{network_file.FINE}/': run.fine} if run.fine else {})
  arrays = {
    prefix + name: array
    for prefix, one in runs.items()
    for name, array in _stored(one, half).items()
  }
  content = safetensors.numpy.save(arrays)
  files.write(weights, content)
  facts = _facts(run, nets)
  if run.fine:
    facts[network_file.FINE] = _facts(run.fine, nets)
  facts['commit'] = provenance.commit()
  files.write(facts_file, json.dumps(facts, indent=1) + '\n')
  places = _places(content, weights.name)
  sample = onnx_file.sample_to_check(nets, options)
  for (prefix, one), graph in zip(runs.items(), graphs, strict=True):
    about = run_facts.of(one, nets, options)
    own = {
      name.removeprefix(prefix): place
      for name, place in places.items()
      if name.startswith(prefix)
    }
    model = onnx_network.model(one, own, about)
    files.write(graph, model.SerializeToString())
    references_of, things = onnx_file.what_jax_says(nets, one, sample.source)
    found = check.compare(
      one,
      references_of(nets, sample, 'checking'),
      things,
      graph,
      'float32',  # beside JAX with these very weights
      from_logits.level_of(about.threshold),
    )
    print(found.exact_line())


def _storable(run, half, path):
  """Returns a network as it can be stored: rounded, and of no path."""

  def rounded(where, leaf):
    array = np.asarray(leaf)
    if not half or array.ndim < 2:
      return array
    with np.errstate(over='ignore'):
      rounded = array.astype(np.float16).astype(array.dtype)
    if not np.isfinite(rounded).all():
      raise UserError(
        f'{path} cannot hold {network_file.name_of(where)} as float16, whose '
        'largest number is 65504; leave out --precision.'
      )
    return rounded

  variables = jax.tree_util.tree_map_with_path(rounded, run.variables)
  config = run.config.copy_and_resolve_references()
  if weights := config.model.get('encoder_weights'):
    # Here already, as the digest depends on it.
    config.model.encoder_weights = pathlib.PurePath(weights).name
  return dataclasses.replace(run, config=config, variables=variables, fine=None)


def _stored(run, half):
  """Returns the arrays of a network by name, as they are stored."""
  leaves = jax.tree_util.tree_leaves_with_path(run.variables)
  return {
    network_file.name_of(where): np.ascontiguousarray(
      leaf, np.float16 if half and leaf.ndim > 1 else np.float32
    )
    for where, leaf in leaves
  }


def _places(content, file):
  """Returns where the arrays are in the bytes of a .safetensors file."""
  start = 8 + int.from_bytes(content[:8], 'little')
  header = json.loads(content[8:start])
  types = {'F32': 'float32', 'F16': 'float16'}
  places = {}
  for name, entry in header.items():
    first, end = entry['data_offsets']
    places[name] = Place(
      file,
      start + first,
      end - first,
      types[entry['dtype']],
      tuple(entry['shape']),
    )
  return places


def _facts(run, nets):
  """Returns what X.json says of a network; no path of this machine."""
  return {
    'format': network_file.FORMAT,
    'network': dataclasses.replace(run, fine=None).digest(),
    'step': run.step,
    'data': run.data,
    'init': _start(run.start),
    'config': _config(run, nets.masking).to_dict(),
  }


def _config(run, masking):
  config = run.config.copy_and_resolve_references()
  usual = default.get_config().data
  for name in _PATHS:
    config.data[name] = usual[name]
  if config.data.coarse:
    config.data.coarse = 'coarse'  # what counts is that there is one
  config.train.init_from = pathlib.PurePath(config.train.init_from).name
  for name in ('threshold', 'fill_holes', 'keep_largest'):
    config.eval[name] = masking[name]
  return config


def _start(start: dict[str, Any] | None) -> dict[str, Any] | None:
  """Returns what a network started from, without the names of what it took."""
  if not start:
    return None
  return {
    'folder': pathlib.PurePath(start['folder']).name,
    **{name: start[name] for name in ('network', 'step', 'seen')},
  }
