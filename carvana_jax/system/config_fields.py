"""Checks that a config has the fields it must have, and of the right kind."""

import math
from typing import Any

from ml_collections import ConfigDict

from carvana_jax.configs import default
from carvana_jax.system.errors import UserError

# What a value of each kind must be, in the words of error messages.
_KINDS = {
  bool: 'True or False',
  int: 'a whole number',
  float: 'a finite number',
  str: 'text',
  tuple: 'whole numbers in brackets, such as (2, 3)',
}

# Fields that the configs of old runs lack, with the values that held there.
_ADDED = {
  'data': {
    'validation_folds': (1,),
    'split_shares': (),
    'split_seed': 0,
    'split_by': 'car',
    'first': 0,
    'coarse': '',
    'empty_studio': False,
    'fit': 'stretch',
    'groups': '',
    'mask_ending': '',
    'object_values': '',
    'resize_masks': False,
  },
  'augment': {'clip': True, 'hide_studio': 0.0},
  'optimizer': {'warmup': 0.3, 'epsilon': 1e-8},
  'train': {'init_from': '', 'init_rate': 1.0, 'freeze': ''},
}
# The same of `config.model`, by its name.
_ADDED_TO_MODEL = {
  'unet': {
    'conv_bias': True,
    'norm_momentum': 0.9,
    'norm_epsilon': 1e-5,
    'kernel_init': 'lecun_normal',
  },
  'cnn': {'kernel_init': 'lecun_normal'},
  'vgg_unet': {
    'norm_momentum': 0.9,
    'norm_epsilon': 1e-5,
    'kernel_init': 'normal',
  },
}

# Those of them that tell networks apart only where they have other values, so
# that older networks keep the digests that files and results name them by.
_UNTOLD = ('norm_momentum', 'norm_epsilon', 'kernel_init')


def complete(config: ConfigDict) -> ConfigDict:
  """Adds the fields that were unknown when the config of a run was saved.

  Args:
    config: the config as it was saved; it is changed in place.

  Returns:
    The same config.
  """
  for section in (*_ADDED, 'model'):
    fields = config.get(section)
    if isinstance(fields, ConfigDict):
      added = _ADDED.get(section) or _ADDED_TO_MODEL.get(fields.get('name'), {})
      for name, value in added.items():
        fields[name] = fields.get(name, value)
  return config


def model_text(model_config: ConfigDict) -> str:
  """Returns `config.model` as text that is the same in all versions.

  Args:
    model_config: the fields of a network.

  Returns:
    JSON, without fields that were added later and hold what held before.
  """
  before = _ADDED_TO_MODEL.get(model_config.name, {})
  told = {
    name: value
    for name, value in model_config.items()
    if name not in _UNTOLD or value != before.get(name)
  }
  return ConfigDict(told).to_json(sort_keys=True)


def check_fields(config: ConfigDict) -> None:
  """Compares a config with configs/default.py.

  The fields of `config.model` depend on its name; `models.build` checks them.

  Args:
    config: the config of a run.

  Raises:
    UserError: a section or a field is missing or unknown, or a value is not of
      the default's kind.
  """
  _check('config', config, default.get_config())


def check_kind(name: str, value: Any, kind: type) -> None:
  """Checks that the value of a field is of a kind.

  Args:
    name: the name of the field, for the message.
    value: what the field holds.
    kind: bool, int, float (finite, whole numbers are accepted), str, or tuple
      (of whole numbers, lists are accepted).

  Raises:
    UserError: it is of another kind.
  """
  if kind is float:
    good = _is(value, int | float) and -math.inf < value < math.inf
  elif kind is tuple:
    good = isinstance(value, tuple | list) and all(_is(x, int) for x in value)
  else:
    good = _is(value, kind)
  if not good:
    raise UserError(f'{name}={value!r} must be {_KINDS[kind]}.')


def _check(name, actual, expected):
  lacking = set(expected) - set(actual)
  if lacking:
    raise UserError(
      f'{name}.{min(lacking)} is missing; configs/default.py has every field.'
    )
  unknown = set(actual) - set(expected)
  if unknown:
    raise UserError(
      f'{name}.{min(unknown, key=str)} is no field; configs/default.py has '
      'every field.'
    )
  for field, value in expected.items():
    path = f'{name}.{field}'
    if not isinstance(value, ConfigDict):
      check_kind(path, actual[field], type(value))
    elif not isinstance(actual[field], ConfigDict):
      raise UserError(
        f'{path}={actual[field]!r} must hold the fields that it has in '
        'configs/default.py.'
      )
    elif path != 'config.model':
      _check(path, actual[field], value)


def _is(value, kind):
  """Returns what `isinstance` does, except that a bool is no number."""
  is_bool = isinstance(value, bool)
  return is_bool if kind is bool else isinstance(value, kind) and not is_bool
