"""The exceptions for what the user can put right, or has stopped."""

from collections.abc import Sequence


class UserError(Exception):
  """A problem with a file, a field or a value that the user gave.

  Its text is one line that names the thing and the remedy. Commands print it
  without a traceback and exit with code 2, see `cli.py`.
  """


def raise_first(
  problems: Sequence[str], kind: type[UserError] = UserError
) -> None:
  """Raises the first of some problems, if there are any, and counts the others.

  Args:
    problems: a line for each.
    kind: of the exception.
  """
  if problems:
    others = len(problems) - 1
    more = f' ({others} more with problems)' if others else ''
    raise kind(problems[0] + more)


class Interrupted(KeyboardInterrupt):
  """A signal, whose number is the argument, has ended a command in good order.

  What was done is saved, and the user has been told. Commands end with the exit
  code that shells have for that signal.
  """
