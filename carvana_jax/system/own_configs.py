"""The configs of this package, which have a name in every folder."""

import os
from collections.abc import Sequence

from carvana_jax import configs


def complete(argv: Sequence[str]) -> list[str]:
  """Returns a command line whose --config can be opened.

  --config=configs/NAME.py names a file of the current folder. Where there is
  none, as in every folder but the project's, the package's own config of that
  name is meant.

  Args:
    argv: the command line.
  """
  words = list(argv)
  for place, word in enumerate(argv):
    name, equals, value = word.partition('=')
    if name not in ('-config', '--config'):
      continue
    if equals:
      words[place] = f'{name}={_own(value)}'
    elif place + 1 < len(words):
      words[place + 1] = _own(words[place + 1])
  return words


def _own(path):
  folder, name = os.path.split(os.path.normpath(path))
  own = os.path.join(os.path.dirname(configs.__file__), name)
  is_own = folder == 'configs' and os.path.isfile(own)
  return own if is_own and not os.path.lexists(path) else path
