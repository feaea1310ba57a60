"""What is wrong with the flags of a command, as a sentence for its user."""

import difflib
import itertools
import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from carvana_jax.system import files
from carvana_jax.system.errors import UserError

_FIELDS = 'configs/default.py'  # as it is called in sentences


def explain(argv: Sequence[str], error: Exception) -> str:
  """Returns a sentence on what was raised while flags were parsed.

  What absl and ml_collections say of a config is not for its user: they mix the
  errors of its file with those of its flags, and wrap them in words of their
  own. So the file is run once more, and the flags are compared with its fields.

  Args:
    argv: the command line.
    error: what was raised; a config file may raise anything.
  """
  if isinstance(error, flags.UnrecognizedFlagError):
    return _unknown_flag(error.flagname)
  file = config_file(argv)
  if file is not None:
    try:
      config = load_config(file)
    except Exception as reason:
      return _no_config(file, reason)
    field = None if isinstance(error, flags.Error) else _unknown(argv, config)
    if field:
      return field
  text = ' '.join(str(error).split()).rstrip('.')
  # absl has the name of the flag nowhere but in its sentence.
  remedy = f'{_FIELDS} has every field' if '--config.' in text else 'see --help'
  return f'{text}; {remedy}.'


def config_file(argv: Sequence[str]) -> str | None:
  """Returns the value of --config, as it was given; None if there is none."""
  for word, following in itertools.zip_longest(argv, argv[1:]):
    name, equals, value = word.partition('=')
    if name in ('-config', '--config'):
      return value if equals else following
  return None


def load_config(file: str) -> Any:
  """Runs a config file, as ml_collections does.

  Args:
    file: a Python file, or FILE:WORD for a word that its function is given.

  Returns:
    What its get_config() returns, a ConfigDict.

  Raises:
    UserError: there is no such file, or it makes no config.
    Exception: whatever the file raises.
  """
  # Here, as commands without a config need not have it installed.
  from ml_collections import ConfigDict

  if files.is_url(file):
    raise UserError('it is a URL')
  path, *words = file.split(':', 1)
  if not os.path.exists(path):
    raise UserError('there is no such file')
  with open(path, 'rb') as source:
    code = compile(source.read(), path, 'exec')
  names = {'__name__': 'config', '__file__': path}
  exec(code, names)
  if 'get_config' not in names:
    raise UserError('it has no get_config()')
  config = names['get_config'](*words)
  if not isinstance(config, ConfigDict):
    kind = type(config).__name__
    raise UserError(f'get_config() returns a {kind}, not a ConfigDict')
  return config


def _no_config(file, error):
  reason = str(error)
  if not isinstance(error, UserError):
    reason = f'{type(error).__name__}: {reason}'
  return (
    f'--config={file} is of no use ({reason}); give a Python file whose '
    'get_config() returns a config, such as configs/studio.py.'
  )


def _unknown_flag(name):
  closest = difflib.get_close_matches(name, list(flags.FLAGS), 1)
  remedy = f'did you mean --{closest[0]}?' if closest else 'see --help.'
  return f'there is no flag --{name}; {remedy}'


def _unknown(argv, config):
  """A sentence on the first flag whose field the config lacks, or None."""
  for word in argv:
    name = word.partition('=')[0].lstrip('-').removeprefix('no')
    section, _, path = name.partition('.')
    if section == 'config' and path:
      sentence = _unknown_field(path, config)
      if sentence:
        return sentence
  return None


def _unknown_field(path, config):
  """A sentence on a path (train.epochs) that the config lacks, or None."""
  names = path.split('.')
  for depth, name in enumerate(names):
    known = list(config) if hasattr(config, 'to_dict') else []
    if name not in known:
      above = ''.join(f'{x}.' for x in names[:depth])
      field = f'{above}{name}'
      closest = difflib.get_close_matches(name, known, 1)
      if closest:
        field = f'{field!r}; did you mean {above + closest[0]!r}?'
      else:
        field += ';'
      return f'the config has no field {field} {_FIELDS} lists them all.'
    config = config[name]
  return None
