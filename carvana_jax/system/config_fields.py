"""Whether the fields of a config are there, and of the right kind."""

import math
from typing import Any

from ml_collections import ConfigDict

from carvana_jax.configs import default
from carvana_jax.system.errors import UserError

# What a value must be, in words; of tuples, all values are whole numbers.
_KINDS = {
  bool: 'True or False',
  int: 'a whole number',
  float: 'a finite number',
  str: 'text',
  tuple: 'whole numbers in brackets, such as (2, 3)',
}

# Fields that the configs of earlier runs lack, with what held for these.
_ADDED = {
  'data': {'validation_folds': (1,), 'coarse': ''},
  'optimizer': {'warmup': 0.3},
}


def complete(config: ConfigDict) -> ConfigDict:
  """The config of a run that may be older than some fields, with all of them.

  Args:
    config: as it was saved with the run; it is changed.
  """
  for section, added in _ADDED.items():
    if isinstance(config.get(section), ConfigDict):
      for name, value in added.items():
        config[section][name] = config[section].get(name, value)
  return config


def check_fields(config: ConfigDict) -> None:
  """Compares a config with configs/default.py.

  Of `config.model`, whose fields depend on its name, `models.build` knows more.

  Raises:
    UserError: a section or a field is missing or is none, or a value is of
      another kind than the default's.
  """
  _check('config', config, default.get_config())


def _check(name, found, expected):
  lacking = set(expected) - set(found)
  if lacking:
    raise UserError(
      f'{name}.{min(lacking)} is missing; configs/default.py has every field.'
    )
  unknown = set(found) - set(expected)
  if unknown:
    raise UserError(
      f'{name}.{min(unknown, key=str)} is no field; configs/default.py has '
      'every field.'
    )
  for field, value in expected.items():
    path = f'{name}.{field}'
    if not isinstance(value, ConfigDict):
      check_kind(path, found[field], type(value))
    elif not isinstance(found[field], ConfigDict):
      raise UserError(
        f'{path}={found[field]!r} must hold the fields that it has in '
        'configs/default.py.'
      )
    elif path != 'config.model':
      _check(path, found[field], value)


def check_kind(name: str, value: Any, kind: type) -> None:
  """Raises a `UserError` where a value is not of a kind.

  Args:
    name: of the field, for the message.
    value: what it holds.
    kind: bool, int, float (finite; whole numbers will do), str or tuple (of
      whole numbers; lists will do).
  """
  if kind is float:
    good = _is(value, int | float) and -math.inf < value < math.inf
  elif kind is tuple:
    good = isinstance(value, tuple | list) and all(_is(x, int) for x in value)
  else:
    good = _is(value, kind)
  if not good:
    raise UserError(f'{name}={value!r} must be {_KINDS[kind]}.')


def _is(value, kind):
  """`isinstance`, but a bool is no number."""
  return isinstance(value, kind) and (
    kind is bool or not isinstance(value, bool)
  )
