"""The trained network that a run starts from, see `config.train.init_from`."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import chosen_splits, prepare
from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  crossval_folder,
  network_file,
  saved_steps,
  trained_run,
)
from carvana_jax.training.optimizer import make_optimizer
from carvana_jax.training.train_state import TrainState, creator

# What the values of fields must be, see `check_config`.
RANGES = {'train.init_rate': ('at least 0', lambda x: x >= 0)}

# How many arrays are named that were not taken.
_MOST_NAMED = 3


def load(config: ConfigDict, begun: bool) -> trained_run.Run | None:
  """Loads the network that a run starts from, or has started from.

  All processes must call it together.

  Args:
    config: as in configs/default.py.
    begun: whether the run has a checkpoint, which holds what was taken.

  Returns:
    The best network of the folder `config.train.init_from`, or that of the
    file; of a file with two, a second network starts from the second. None if
    the field is '', or if it is gone once the run has begun.

  Raises:
    UserError: the folder holds no trained network, or none that can be read.
  """
  if not config.train.init_from:
    return None
  folder = files.absolute(config.train.init_from)
  if network_file.is_one(folder):
    if begun and not processes.broadcast_result(folder.exists):
      return None
    fine = config.data.coarse != '' and network_file.has_second(folder)
    return trained_run.load_file(folder, fine)
  if not processes.broadcast_result(lambda: saved_steps.exists(folder)):
    if begun:
      return None
    _refuse(folder)
  return trained_run.load(folder, of_tiles=True)


def _refuse(folder):
  reason = f'holds no trained network{files.absence(folder)}; name a run'
  if crossval_folder.is_crossval(folder):
    first = crossval_folder.run_folders(folder, 1)[0]
    reason = f'holds a cross-validation; name a fold, {first} and so on'
  raise UserError(f'config.train.init_from={folder} {reason}.')


def facts(config: ConfigDict, source: trained_run.Run | None) -> dict[str, str]:
  """Returns what a run's records say of `load`'s network: nothing of None."""
  if source is None:
    return {}
  folder = files.absolute(config.train.init_from)
  text = f'{folder}, step {source.step}, network {source.digest()}'
  return {'init_from': text}


def refuse_seen(
  source: trained_run.Run, config: ConfigDict, identity: str
) -> None:
  """Refuses a network that has learned from what the run validates on.

  Args:
    source: the network.
    config: of the run.
    identity: `prepare.identity` of the run's data.

  Raises:
    UserError: it has, as far as can be told: of other prepared data, which may
      hold the same photos, nothing is known.
  """
  own, splits = set(config.data.validation_folds), _by_shares(config)
  here = prepare.source_of(identity)
  for data, folds, *shares in _seen(source):
    if not prepare.are_same(config.data, prepare.source_of(data), here):
      continue
    if shares != splits:
      raise UserError(
        f'config.train.init_from={config.train.init_from} has learned from '
        'these photos, split in another way, so scores would mean nothing; '
        'start from a run with the same config.data.split_shares, split_seed, '
        'split_by and first, or one on other photos.'
      )
    if not own <= set(folds):
      raise UserError(
        f'config.train.init_from={config.train.init_from} has learned from '
        f'these photos with config.data.validation_folds={_listed(folds)}, so '
        f'scores of a run with {_listed(own)} would mean nothing; start from a '
        'run with the same folds, or one on other photos.'
      )


def _listed(folds):
  return f'({", ".join(map(str, sorted(folds)))},)'


def _seen(source):
  """Of all runs that have led to a network [data, validation folds].

  With shares, the facts of `Splits` are in addition.
  """
  before = source.start['seen'] if source.start else []
  folds = list(source.config.data.validation_folds)
  return [*before, [source.data, folds, *_by_shares(source.config)]]


def _by_shares(config):
  """[facts] of splits by shares; [] by folds, whose cars never move."""
  splits = chosen_splits.of(config.data)
  return [splits.facts()] if splits.shares else []


def refuse_unfit(source: trained_run.Run, config: ConfigDict) -> None:
  """Refuses what `start_from` would, before any data is prepared.

  Args:
    source: the network.
    config: of the run.

  Raises:
    UserError: as of `start_from`.
  """
  optimizer = make_optimizer(config.optimizer, total_steps=1)
  create = creator(config, models.build(config.model), optimizer)
  _fitting(source, config, jax.eval_shape(create))


def start_from(
  source: trained_run.Run, config: ConfigDict, state: TrainState
) -> tuple[TrainState, dict[str, Any]]:
  """Puts what fits of a trained network into a new state; says what.

  Args:
    source: the network.
    config: of the run.
    state: the state before the first step.

  Returns:
    The state with the network's arrays of equal name and shape, which its
    average starts from as well; and notes for `refuse_other` and `slowed`.

  Raises:
    UserError: no kernel fits, or one of a layer of `config.train.freeze` does
      not.
  """
  there, here = _named(source.variables), _named(state.variables)
  taken, folder = _fitting(source, config, state), config.train.init_from
  left = [x for x in here | there if x not in taken]
  sizes = {name: here[name].size for name in here}
  total = sum(sizes[name] for name in taken)
  print(
    f'starting from {folder}, step {source.step}: {len(taken)} of {len(here)} '
    f'arrays are taken, {total:,} of {sum(sizes.values()):,} numbers'
  )
  if left:
    print(f'not taken: {_differences(left, there, here)}', flush=True)

  def choose(tree, prefix=''):
    pick = lambda name, old: there[name] if name in taken else old
    return jax.tree_util.tree_map_with_path(
      lambda path, old: pick(prefix + _name(path), old), tree
    )

  state = state.replace(
    params=choose(state.params, 'params/'),
    batch_stats=choose(state.batch_stats, 'batch_stats/'),
    frozen=choose(state.frozen),
  )
  if state.average:
    state = state.replace(average=jax.tree.map(jnp.copy, state.trained))
  return state, {
    'folder': str(files.absolute(folder)),
    'network': source.digest(),
    'step': source.step,
    'taken': sorted(taken),
    'seen': _seen(source),
  }


def _fitting(source, config, state):
  """Returns the names of what is taken; refuses what `start_from` does."""
  there, here = _named(source.variables), _named(state.variables)
  taken = {name for name in here if _kind(there, name) == _kind(here, name)}
  if not any(here[x].ndim > 1 for x in taken):
    folder = pathlib.Path(config.train.init_from)
    there = network_file.facts_path(folder)
    if not network_file.is_one(folder):
      there = folder / 'config.json'
    raise UserError(
      f'config.train.init_from={folder} has no kernel of the same name and '
      f'shape as this network; choose its config.model, which {there} has, or '
      'another run.'
    )
  _refuse_random(config, state, taken)
  return taken


def _differences(names, there, here):
  """Some of the arrays that were not taken, with both shapes."""
  shown = [
    f'{name} ({_kind(there, name)} there, {_kind(here, name)} here)'
    for name in names[:_MOST_NAMED]
  ]
  more = len(names) - _MOST_NAMED
  return '; '.join(shown) + (f'; {more} more' if more > 0 else '')


def _refuse_random(config, state, taken):
  """Refuses layers that would be frozen with the random values of a start."""
  frozen = state.frozen.get('params', {})
  from_file = models.frozen_layers(models.build(config.model), frozen, '')
  random = [
    layer
    for layer in frozen.keys() - set(from_file)
    if not taken.issuperset(
      f'params/{layer}/{x}' for x in _named(frozen[layer])
    )
  ]
  if random:
    raise UserError(
      f'config.train.freeze={config.train.freeze} would keep layers at '
      f'random of which {config.train.init_from} has not all arrays '
      f'({", ".join(sorted(random))}); choose others.'
    )


def refuse_other(
  source: trained_run.Run | None, notes: dict[str, Any] | None, folder: str
) -> None:
  """Refuses to go on with a run that was started from another network.

  Args:
    source: the network that is asked for; None: it is gone, or there is none.
    notes: those of `start_from`; None: the run started from no network.
    folder: `config.train.init_from`.

  Raises:
    UserError: it is another one.
  """
  if source and notes and source.digest() != notes['network']:
    raise UserError(
      f'config.train.init_from={folder} has another best network, of step '
      f'{source.step}, than the one that this run was started from, of step '
      f'{notes["step"]} in {notes["folder"]}; bring that one back, or choose '
      'another --workdir.'
    )


def slowed(
  optimizer: optax.GradientTransformation,
  rate: float,
  notes: dict[str, Any] | None,
) -> optax.GradientTransformation:
  """Lowers the learning rate of what was taken from a trained network.

  Args:
    optimizer: for all parameters.
    rate: `config.train.init_rate`, times the learning rate.
    notes: those of `start_from`; None: there was no network.

  Returns:
    An optimizer of the same state. An update is a multiple of the learning
    rate, decay included, so it is the update that is multiplied.
  """
  if rate == 1 or not notes:
    return optimizer
  taken = frozenset(notes['taken'])

  def scale(path, change):
    return change * rate if f'params/{_name(path)}' in taken else change

  def update(gradient, state, params=None):
    changes, state = optimizer.update(gradient, state, params)
    return jax.tree_util.tree_map_with_path(scale, changes), state

  return optax.GradientTransformation(optimizer.init, update)


def _named(tree):
  """{'params/down0_conv0/kernel': array}"""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {_name(path): leaf for path, leaf in leaves}


def _name(path):
  return jax.tree_util.keystr(path, simple=True, separator='/')


def _kind(arrays, name):
  """The shape of an array, as '3x3x16x32', and 'none' where there is none."""
  if name not in arrays:
    return 'none'
  return 'x'.join(map(str, np.shape(arrays[name]))) or 'one number'
