"""The exception for what the user can put right."""


class UserError(Exception):
  """A problem with a file, a field or a value that the user gave.

  Its text is one line that names the thing and the remedy. Commands print it
  without a traceback and exit with code 2, see `cli.py`.
  """
