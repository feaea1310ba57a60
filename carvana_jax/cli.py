"""How every command starts and how it fails: one line, exit code 2."""

import errno
import re
import signal
import sys
import traceback
from collections.abc import Callable

from absl import app, flags, logging

from carvana_jax.errors import UserError

_DEBUG = flags.DEFINE_bool('debug', False, 'Show tracebacks of errors.')


def run(main: Callable[..., None], words: tuple[str, ...] = ()) -> None:
  """Parses the flags and runs `main`; errors of the user's become one line.

  Args:
    main: the command, given as many words of the command line as `words`.
    words: what the arguments that are no flags stand for, in capitals.
  """

  def guarded(argv):
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
      main(*argv[1:])
    except (Exception, KeyboardInterrupt) as error:
      sys.exit(tell(error))

  app.run(guarded, flags_parser=lambda argv: _parse(argv, words))


def tell(error: BaseException) -> int:
  """Says why a command ends, and returns the exit code that goes with it."""
  if isinstance(error, KeyboardInterrupt):
    print('interrupted; the same command goes on', file=sys.stderr)
    number = error.args[0] if error.args else signal.SIGINT
    return 128 + number  # as shells have it
  if _DEBUG.value or not isinstance(error, UserError | OSError):
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


def _interrupted(number, _):
  raise KeyboardInterrupt(number)


def _say(reason):
  print(f'error: {" ".join(str(reason).split())}', file=sys.stderr)


def _fail(reason):
  _say(reason)
  sys.exit(2)


def _parse(argv, words):
  try:
    rest = flags.FLAGS(argv)[1:]
    if not words and rest:
      _fail(f'{rest[0]!r} is not a flag; flags look like --name=value.')
    if len(rest) != len(words):
      wanted = ' '.join(words)
      _fail(f'{len(rest)} arguments instead of {len(words)}: give {wanted}.')
    if 'config' in flags.FLAGS and flags.FLAGS.config is None:
      _fail('--config is missing; try --config=configs/studio.py.')
    if 'config' in flags.FLAGS:
      # A file that could not be read raises only when it is looked into.
      flags.FLAGS.config.keys()
  except (flags.Error, OSError) as error:
    if '--debug' in argv:
      raise
    _fail(error)
  except (KeyError, AttributeError, TypeError) as error:
    if '--debug' in argv:
      raise
    _fail(_unknown_field(str(error)))
  return [argv[0], *rest]


def _unknown_field(text):
  """A sentence from what ml_collections says of a field that isn't there."""
  closest = re.search('Did you mean "(.+?)" instead of "(.+?)"', text)
  if closest:
    reason = f'{closest[2]!r}; did you mean {closest[1]!r}?'
  else:
    reason = re.sub(r'[^\w .]', '', text) + ';'
  return f'the config has no field {reason} configs/default.py lists them all.'
