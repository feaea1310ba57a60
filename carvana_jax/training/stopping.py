"""Ends a run gently at a signal, and where too many steps fail."""

import os
import signal

from carvana_jax.datasets.input_pipeline import RunData
from carvana_jax.system.errors import UserError

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


class SkippedSteps:
  """Ends a run that skips too many steps in a row."""

  def __init__(self, data: RunData, limit: int):
    """`limit`: how many steps in a row end the run."""
    self._data = data
    self._limit = limit
    self.row = 0  # how many were skipped just before the next

  def add(self, step: int, skipped: bool) -> None:
    """Takes note of a step; call it for every one, in their order.

    Args:
      step: counted from 1 over all epochs.
      skipped: whether it was.

    Raises:
      UserError: the limit is reached.
    """
    self.row = self.row + 1 if skipped else 0
    if self.row < self._limit:
      return
    files = ', '.join(self._data.training_files(step - 1))
    raise UserError(
      f'the loss or its gradient was not finite in {self._limit} steps in a '
      f'row, the last of them step {step} on {files}; choose another --workdir '
      'and a lower config.optimizer.learning_rate or '
      'config.optimizer.clip_norm, or look at these files.'
    )
