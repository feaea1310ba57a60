"""The one exception that means "the user can mend this"."""


class UserError(Exception):
  """A problem with a file, a field or a value that the user gave.

  Its text is one line that names the thing and the remedy. The command line
  prints it without a traceback and exits with code 2 (`cli.py`).
  """
