"""How every command starts and how it fails: one line, exit code 2."""

import errno
import io
import itertools
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable

from absl import app, flags, logging
from ml_collections import ConfigDict

from carvana_jax.system import own_configs
from carvana_jax.system.errors import UserError

# When the command began, but for the start of Python; as time.monotonic().
STARTED = time.monotonic()

# How ml_collections begins what it says of errors in a config file.
_IN_CONFIG = 'Error whilst parsing config file'

_SHOWN = 500  # letters of the start and of the end of a very long error

_DEBUG = flags.DEFINE_bool('debug', False, 'Show tracebacks of errors.')


_arguments: list[str] | None = None  # of the command line, without flags


def parse(words: tuple[str, ...] = ()) -> None:
  """Parses the flags; errors become one line.

  A command defines its flags and calls this above its other imports, so that
  --help and what is wrong with a flag need not wait for large libraries.

  Args:
    words: what the arguments that are no flags stand for, in capitals.
  """
  global _arguments
  # What the flags' parsers warn of is said as an error.
  logging.set_verbosity(logging.ERROR)
  # Names of files may have letters that the terminal lacks.
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='backslashreplace')
  sys.excepthook = _uncaught
  app.define_help_flags()
  _arguments = _parse(own_configs.complete(sys.argv), words)


def run(main: Callable[..., None]) -> None:
  """Runs `main`; errors of the user's become one line.

  Args:
    main: the command, given the words of `parse`.
  """

  def guarded(argv):
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
      main(*argv[1:])
    except (Exception, KeyboardInterrupt) as error:
      sys.exit(report_error(error))

  app.run(guarded, flags_parser=_parsed)


def report_error(error: BaseException) -> int:
  """Says why a command ends, and returns the exit code that goes with it."""
  if isinstance(error, KeyboardInterrupt):
    print('interrupted; the same command goes on', file=sys.stderr)
    number = error.args[0] if error.args else signal.SIGINT
    return 128 + number  # as shells have it
  known = isinstance(error, UserError | OSError)
  if _DEBUG.value or not known:
    traceback.print_exception(error)
    return 1
  reason = str(error)
  if isinstance(error, OSError):  # of a path that the user gave, most likely
    full = error.errno == errno.ENOSPC  # often without a path
    reason += (
      '; make room on the disk that is written to.'
      if full
      else '; check that path (--debug shows where it was used).'
    )
  _say(reason)
  return 2


def _uncaught(kind, error, frames):
  """Also where Ctrl-C comes while libraries load."""
  if kind is KeyboardInterrupt:
    report_error(error)
  else:
    sys.__excepthook__(kind, error, frames)


def _interrupted(number, _):
  raise KeyboardInterrupt(number)


def _say(reason):
  text = ' '.join(str(reason).split())
  if len(text) > 2 * _SHOWN:
    text = f'{text[:_SHOWN]} … {text[-_SHOWN:]}'
  print(f'error: {text}', file=sys.stderr)


def _fail(reason):
  _say(reason)
  sys.exit(2)


def _parsed(_):
  if _arguments is None:  # a command without large imports
    parse()
  return _arguments


def _parse(argv, words):
  try:
    try:
      rest = flags.FLAGS(argv)[1:]
    except SystemExit:  # of --help, which absl ends with 1
      sys.exit(0)
    if not words and rest:
      _fail(f'{rest[0]!r} is not a flag; flags look like --name=value.')
    if len(rest) != len(words):
      wanted = ' '.join(words)
      _fail(f'{len(rest)} arguments instead of {len(words)}: give {wanted}.')
    if 'config' in flags.FLAGS and not flags.FLAGS['config'].present:
      _fail('--config is missing; try --config=configs/studio.py.')
    if 'config' in flags.FLAGS:
      _check_config(argv, flags.FLAGS.config)
  except Exception as error:  # a config file may raise anything
    if '--debug' in argv:
      raise
    _fail(_wrong_flag(argv, error))
  return [argv[0], *rest]


def _wrong_flag(argv, error):
  """A sentence on what was raised while flags were parsed."""
  text = ' '.join(str(error).split())
  if isinstance(error, flags.Error) and _IN_CONFIG not in text:
    if text.endswith('?'):  # Did you mean …
      return text
    fields = '--config.' in text
    remedy = 'configs/default.py has every field' if fields else 'see --help'
    return f'{text.rstrip(".")}; {remedy}.'
  file = _config_file(argv)
  frames = traceback.extract_tb(error.__traceback__)
  if (
    isinstance(error, KeyError | AttributeError | TypeError)
    and all(frame.filename != file for frame in frames)
    and "'get_config'" not in text
  ):
    _check_config(argv, flags.FLAGS['config'].parser.parse(file))
    return _unknown_field(text)
  if isinstance(error, OSError) and not os.path.exists(file):
    return _no_config(argv, 'there is no such file')
  # What it was before others put their own words around it.
  last = str(error).strip().splitlines()[-1:] if _IN_CONFIG in text else None
  return _no_config(
    argv, last[0] if last else f'{type(error).__name__}: {text}'
  )


def _check_config(argv, config):
  # What stands for a file that could not be read raises if it's looked into.
  if not isinstance(config, ConfigDict):
    getattr(config, 'keys', None)
    kind = type(config).__name__
    _fail(_no_config(argv, f'get_config() returns a {kind}, not a ConfigDict'))


def _no_config(argv, reason):
  return (
    f'--config={_config_file(argv)} is of no use ({reason}); give a Python '
    'file whose get_config() returns a config, such as configs/studio.py.'
  )


def _config_file(argv):
  """The value of --config, as it was given."""
  for word, following in itertools.zip_longest(argv, argv[1:], fillvalue=''):
    name, equals, value = word.partition('=')
    if name in ('-config', '--config'):
      return value if equals else following
  return ''


def _unknown_field(text):
  """A sentence from what ml_collections says of a field that isn't there."""
  closest = re.search('Did you mean "(.+?)" instead of "(.+?)"', text)
  if closest:
    reason = f'{closest[2]!r}; did you mean {closest[1]!r}?'
  else:
    reason = re.sub(r'[^\w .]', '', text) + ';'
  return f'the config has no field {reason} configs/default.py lists them all.'
