"""Starts commands, and ends those that fail with one line and exit code 2."""

import errno
import logging as logging_of_python
import signal
import sys
import time
import traceback
from collections.abc import Callable

from absl import app, flags, logging

from carvana_jax.system import files, own_configs, streams, wrong_flags
from carvana_jax.system.errors import Interrupted, UserError

# time.monotonic() when the command began, once Python had started.
STARTED = time.monotonic()

_SHOWN = 500  # characters shown of either end of a very long error
_SIGPIPE = 13  # not in `signal` on every system

_DEBUG = flags.DEFINE_bool('debug', False, 'Show tracebacks of errors.')

_arguments: list[str] | None = None  # the command line without its flags


def parse(words: tuple[str, ...] = (), needs_config: bool = True) -> None:
  """Parses the flags, and ends the command if one of them is wrong.

  A command defines its flags and calls this function above its other imports,
  so that --help and errors need not wait for large libraries to load.

  Args:
    words: names, in capitals, of the arguments that are not flags.
    needs_config: whether the flag --config, if there is one, must be given.
  """
  global _arguments
  # The parsers' warnings would be followed by an error that says the same.
  logging.set_verbosity(logging.ERROR)
  # It tells of a home folder that may not be written to, and does without.
  logging_of_python.getLogger('matplotlib').setLevel(logging_of_python.ERROR)
  streams.prepare()
  sys.excepthook = _uncaught
  app.define_help_flags()
  _arguments = _parse(own_configs.complete(sys.argv), words, needs_config)


def run(main: Callable[..., None]) -> None:
  """Runs a command, and reports the user's errors in one line.

  Args:
    main: the command; it is called with the arguments that `parse` names.
  """

  def guarded(argv):
    # Imported here, as --help and wrong flags need not wait for OpenCV.
    from carvana_jax.system import image_libraries

    image_libraries.configure()
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupted)
    code = 0
    try:
      main(*argv[1:])
    except SystemExit as end:
      code = end.code
    except (Exception, KeyboardInterrupt) as error:
      code = report_error(error)
    sys.exit(flushed(code))

  app.run(guarded, flags_parser=_parsed)


def report_error(error: BaseException) -> int:
  """Prints why a command ends to the error stream.

  Args:
    error: the exception that ends it.

  Returns:
    The exit code: 2 for the user's errors, 1 for bugs, and 128 plus the number
    of the signal for interruptions, of which a closed pipe is one.
  """
  if isinstance(error, KeyboardInterrupt):
    if not isinstance(error, Interrupted):
      _print_error('interrupted; run the same command again')
    number = error.args[0] if error.args else signal.SIGINT
    return 128 + number  # as shells do
  if isinstance(error, streams.StdoutError):
    streams.give_up(sys.stdout)
    if error.errno == errno.EPIPE:  # as of `| head`: not an error
      return 128 + _SIGPIPE
    _say(
      f'standard output cannot be written ({error.strerror}); choose another '
      'place for it.'
    )
    return 2
  known = isinstance(error, UserError | OSError)
  if _DEBUG.value or not known:
    _print_error(''.join(traceback.format_exception(error)).rstrip('\n'))
    return 1
  _say(_reason(error) if isinstance(error, OSError) else error)
  return 2


def flushed(code: int) -> int:
  """Writes what was printed and still waits, as a command's last act.

  Args:
    code: the exit code until then.

  Returns:
    The exit code, which is another one if nothing but that went wrong.
  """
  try:
    sys.stdout.flush()
  except OSError as error:
    failed = report_error(error)
    return code or failed
  return code


def _reason(error):
  """Returns a sentence on an `OSError`."""
  if error.errno in files.FULL:
    where = f'{error.filename!r}' if error.filename else 'a file'
    return (
      f'{where} cannot be written ({error.strerror}); make room on that disk.'
    )
  # Most likely the user gave the path.
  return f'{error}; check that path (--debug shows where it was used).'


def _uncaught(kind, error, frames):
  """Replaces `sys.excepthook`, for Ctrl-C while libraries load."""
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
  _print_error(f'error: {text}')


def _print_error(text):
  try:
    print(text, file=sys.stderr)
  except OSError:
    streams.give_up(sys.stderr)


def _fail(reason):
  _say(reason)
  sys.exit(2)


def _parsed(_):
  if _arguments is None:  # a command without large imports
    parse()
  return _arguments


def _parse(argv, words, needs_config):
  """Returns the name of the command and its arguments that are no flags."""
  try:
    rest = flags.FLAGS(argv)[1:]
    for flag in _config_flags():
      # Here, as commands without a config need not have it installed.
      from ml_collections import ConfigDict

      if flag.present and not isinstance(flag.value, ConfigDict):
        # ml_collections accepts files that can't be opened or return no config.
        wrong_flags.load_config(flag.config_filename)
  except SystemExit:  # of --help, which absl ends with 1
    sys.exit(flushed(0))
  except streams.StdoutError as error:  # of --help
    sys.exit(report_error(error))
  except Exception as error:  # a config file may raise anything
    reason = wrong_flags.explain(argv, error)
    if '--debug' in argv:
      raise UserError(reason) from error
    _fail(reason)
  if not words and rest:
    _fail(f'{rest[0]!r} is not a flag; flags look like --name=value.')
  if len(rest) != len(words):
    wanted = ' '.join(words)
    _fail(f'{len(rest)} arguments instead of {len(words)}: give {wanted}.')
  if needs_config and not all(flag.present for flag in _config_flags()):
    _fail('--config is missing; try --config=configs/studio.py.')
  return [argv[0], *rest]


def _config_flags():
  """The flag --config in a list, which is empty if the command has none."""
  return [flags.FLAGS['config']] if 'config' in flags.FLAGS else []
