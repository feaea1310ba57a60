"""SIGINT (Ctrl-C) and SIGTERM (a scheduler) as a wish, not as an end."""

import os
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
  """Notes the first signal in `wished`; a second one ends the process at once.

  What is on the disk is whole at any moment, so nothing is lost but the steps
  since the latest checkpoint. Use it as a context manager, in the main thread.
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

  def _note(self, number, _):
    if self.wished:
      os._exit(128 + number)  # as shells have it
    self.wished = True
