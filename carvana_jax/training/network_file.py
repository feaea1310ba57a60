"""A trained network in a file of its own: X.safetensors, with X.json beside it.

The arrays are named by their paths, such as `params/down0_conv0/kernel`; those
of a second network begin with `fine/`. X.json holds the config and where the
network comes from. Such files come from anywhere: nothing in them is executed,
and before an array is read, its name, shape and type are compared with what the
code makes of the config.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import fitting, names
from carvana_jax.parallel import devices, processes
from carvana_jax.system import config_fields, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import saved_steps, steps, train_state
from carvana_jax.training.optimizer import make_optimizer

ENDING = '.safetensors'
FORMAT = 'carvana_jax 1'  # the entry `format` of X.json
FINE = 'fine'  # its entry on the second network, which the arrays begin with

_AGAIN = 'copy both files anew, or make them with python -m carvana_jax.export.'
# The entries on a network, and of which type each is.
_ENTRIES = {'config': dict, 'step': int, 'data': str, 'network': str}
_TYPES = ('F32', 'F16')
_MOST_NAMED = 3  # of the arrays that differ
# Of the fields that matter once a network is trained.
_RANGES = {
  'threshold': steps.RANGES['eval.threshold'],
  'batch_size': ('from 1 to 65536', lambda x: 1 <= x <= 65536),
}
_CHOICES = {'dataset': tuple(names.FULL_SIZES), 'fit': fitting.FITS}


class Content(NamedTuple):
  """What a file holds of a network."""

  config: ConfigDict
  variables: Any  # replicated over the devices, float32
  step: int
  data: str  # as `trained_run.Run`
  start: dict[str, Any] | None  # as `trained_run.Run`
  network: str  # `trained_run.Run.digest` when it was written


def is_one(path: pathlib.Path) -> bool:
  """Returns whether a path names such a file, not the folder of a run."""
  return path.suffix.lower() == ENDING and not path.is_dir()


def refuse_instead(path: pathlib.Path) -> None:
  """Refuses what lies beside such a file, where that is meant.

  Args:
    path: what was given as the folder of a run.

  Raises:
    UserError: it is the graph of a network, or a folder of files.
  """
  if path.suffix.lower() == '.onnx':
    raise UserError(
      f'{path} is a graph for ONNX Runtime, not for JAX; give the {ENDING} '
      'file or the run that it was made of.'
    )
  found = sorted(path.glob(f'*{ENDING}')) if path.is_dir() else []
  if found and not saved_steps.folder_of(path).is_dir():
    raise UserError(f'{path} is no run; give the file in it, {found[0]}.')


def facts_path(path: pathlib.Path) -> pathlib.Path:
  """Returns the path of X.json, given X.safetensors."""
  return path.with_suffix('.json')


def has_second(path: pathlib.Path) -> bool:
  """Returns whether a file holds a second network, see `read`."""
  return FINE in processes.broadcast_result(lambda: _facts(path))


def read(path: pathlib.Path, fine: bool) -> Content:
  """Reads a network.

  All processes must call it together.

  Args:
    path: of the file.
    fine: whether to read the second network, not the first.

  Raises:
    UserError: one of the two files is missing or damaged, they are not of each
      other, or there is no such network.
  """
  facts = processes.broadcast_result(lambda: _facts(path))
  if fine and FINE not in facts:
    raise UserError(f'{path} holds no second network; leave out --fine.')
  facts = facts[FINE] if fine else facts
  config = _config(path, facts)
  like = _like(config)
  arrays = processes.broadcast_arrays(
    lambda: _arrays(path, like, f'{FINE}/' if fine else ''), like
  )
  return Content(
    config,
    devices.replicate(arrays),
    facts['step'],
    facts['data'],
    facts.get('init'),
    facts['network'],
  )


def refuse(path: pathlib.Path) -> None:
  """Refuses a file where the folder of a run is needed.

  Args:
    path: what was given as --workdir.

  Raises:
    UserError: it is such a file.
  """
  if is_one(path):
    raise UserError(
      f'{path} holds a network without its run; give the folder of a run as '
      '--workdir.'
    )


def name_of(path: tuple[Any, ...]) -> str:
  """Returns the name of an array, given its path in a tree of variables."""
  return jax.tree_util.keystr(path, simple=True, separator='/')


def _facts(path):
  """Returns the entries of X.json, checked but for the config."""
  if not path.is_file():
    raise UserError(
      f'{path} does not exist; make it with python -m carvana_jax.export, or '
      'give the folder of a run.'
    )
  file = facts_path(path)
  if not file.exists():
    raise UserError(
      f'{file} is missing, which {path.name} of carvana_jax.export has beside '
      'it; bring it there, too.'
    )
  facts = files.read_json(file)
  if facts.get('format') != FORMAT:
    raise UserError(
      f'{file} is not of the format {FORMAT!r}, as carvana_jax.export writes '
      f'it beside {path.name}; {_AGAIN}'
    )
  for entries in (facts, facts.get(FINE, facts)):
    for name, kind in _ENTRIES.items():
      if not isinstance(entries, dict) or type(entries.get(name)) is not kind:
        raise UserError(f'{file} does not tell the right {name}; {_AGAIN}')
    _check_start(file, entries.get('init'))
  return facts


def _check_start(file, start):
  """Refuses what `initial_network` could not use of a network's origin."""
  seen = start['seen'] if isinstance(start, dict) and 'seen' in start else None
  good = isinstance(seen, list) and all(
    isinstance(entry, list)
    and [type(x) for x in entry[:2]] == [str, list]
    and all(type(x) is int for x in entry[1])
    and all(type(x) is dict for x in entry[2:])
    for entry in seen
  )
  if start is not None and not good:
    raise UserError(f'{file} does not tell the right init; {_AGAIN}')


def _config(path, facts):
  """Returns the config of a network, checked where it is still of use."""
  file = facts_path(path)
  try:
    config = config_fields.complete(ConfigDict(facts['config']))
    config_fields.check_fields(config)
    for name, (words, holds) in _RANGES.items():
      if not holds(config.eval[name]):
        value = config.eval[name]
        raise UserError(f'config.eval.{name}={value} must be {words}.')
    for name, choices in _CHOICES.items():
      if config.data[name] not in choices:
        raise UserError(
          f'config.data.{name}={config.data[name]} must be one of '
          f'{", ".join(choices)}.'
        )
    _like(config)
  except UserError as error:
    raise UserError(f'{file}: {error}') from error
  except Exception as error:  # of values that no code expects
    reason = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
    raise UserError(
      f'{file} holds no config that can be used ({reason}); {_AGAIN}'
    ) from error
  return config


def _like(config):
  """Returns the shapes of the variables that the code makes of a config."""
  optimizer = make_optimizer(config.optimizer, total_steps=1)
  create = train_state.creator(config, models.build(config.model), optimizer)
  return jax.eval_shape(create).eval_variables


def _arrays(path, like, prefix):
  """Reads arrays as `like` has them, in float32."""
  wanted = {
    prefix + name_of(where): leaf
    for where, leaf in jax.tree_util.tree_leaves_with_path(like)
  }
  try:
    with safetensors.safe_open(path, framework='numpy') as tensors:
      there = {
        name: tensors.get_slice(name)
        for name in tensors.keys()  # noqa: SIM118, as it is no dict
        if name.startswith(f'{FINE}/') == bool(prefix)
      }
      _refuse_other(path, there, wanted)
      found = {name: tensors.get_tensor(name) for name in wanted}
  except (UserError, OSError):
    raise
  except Exception as error:  # the library's own
    reason = ' '.join(str(error).split())[:200]
    raise UserError(f'{path} is damaged ({reason}); {_AGAIN}') from error
  for name, array in found.items():
    if not np.isfinite(array).all():
      raise UserError(
        f'{path} has values in {name} that are NaN or infinite; {_AGAIN}'
      )
  pick = lambda where, leaf: found[prefix + name_of(where)].astype(leaf.dtype)
  return jax.tree_util.tree_map_with_path(pick, like)


def _refuse_other(path, there, wanted):
  """Refuses arrays that are not those that the code makes of the config."""
  kinds = {
    name: f'{x.get_dtype()} {list(x.get_shape())}' for name, x in there.items()
  }
  good = {
    name: [f'{kind} {list(x.shape)}' for kind in _TYPES]
    for name, x in wanted.items()
  }
  differing = [
    f'{name} ({kinds.get(name, "none")} there, {good.get(name, ["none"])[0]} '
    'wanted)'
    for name in good | kinds
    if kinds.get(name) not in good.get(name, ())
  ]
  if differing:
    more = len(differing) - _MOST_NAMED
    raise UserError(
      f'{path} holds other arrays than {facts_path(path).name} is of: '
      f'{"; ".join(differing[:_MOST_NAMED])}'
      f'{f"; {more} more" if more > 0 else ""}; {_AGAIN}'
    )
