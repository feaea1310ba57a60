"""SIGINT (Ctrl-C) and SIGTERM (a scheduler) as a wish, not as an end."""

import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
  """Notes the first signal in `wished`; a second one acts as usual.

  Use it as a context manager, in the main thread.
  """

  def __init__(self):
    self.wished = False
    self._before = {}

  def __enter__(self):
    for number in _SIGNALS:
      self._before[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, *_):
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _note(self, *_):
    self.wished = True
    self.__exit__()
