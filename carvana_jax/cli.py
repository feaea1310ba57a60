"""How every command starts and how it fails: one line, exit code 2."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from carvana_jax.errors import UserError

_DEBUG = flags.DEFINE_bool('debug', False, 'Show tracebacks of errors.')


def run(main: Callable[[], None]) -> None:
  """Parses the flags and runs `main`, turning `UserError` into one line."""

  def guarded(_):
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    try:
      main()
    except UserError as error:
      if _DEBUG.value:
        raise
      _fail(error)

  app.run(guarded, flags_parser=_parse)


def _fail(reason):
  print(f'error: {reason}', file=sys.stderr)
  sys.exit(2)


def _parse(argv):
  try:
    rest = flags.FLAGS(argv)[1:]
    if rest:
      _fail(f'{rest[0]!r} is not a flag; flags look like --name=value.')
    if 'config' in flags.FLAGS and flags.FLAGS.config is None:
      _fail('--config is missing; try --config=configs/studio.py.')
    if 'config' in flags.FLAGS:
      # A file that could not be read raises only when it is looked into.
      flags.FLAGS.config.keys()
  except (flags.Error, KeyError, AttributeError, TypeError, OSError) as error:
    if '--debug' in argv:
      raise
    # Config overrides name the closest field in several, quoted lines.
    text = str(error.args[0] if error.args else error).replace('\\n', ' ')
    hint = ' configs/default.py lists all fields.'
    known = isinstance(error, (flags.Error, OSError))
    if not known:
      text = 'the config has no field ' + text.replace('"', "'")
    _fail(' '.join(text.split()) + ('' if known else hint))
  return [argv[0]]
