"""When a run ends: after its epochs or its time, early, or at a signal."""

import os
import signal
import sys

from ml_collections import ConfigDict

from carvana_jax.datasets.input_pipeline import RunData
from carvana_jax.parallel import processes
from carvana_jax.system import streams
from carvana_jax.system.errors import UserError

# What the values of fields must be, see `check_config`.
RANGES = {
  # Steps are counted in 32 bits.
  'train.epochs': (
    'at least 1 and at most 100000',
    lambda x: 1 <= x <= 100_000,
  ),
  'train.max_minutes': ('at least 0', lambda x: x >= 0),
  'train.patience': ('at least 0', lambda x: x >= 0),
  'train.max_skipped': ('at least 1', lambda x: x >= 1),
}
# The last is that of a terminal that closes; Windows has none.
_SIGNALS = ('SIGINT', 'SIGTERM', 'SIGHUP')


def reason_to_stop_early(
  config: ConfigDict, data: RunData, step: int, seconds: float, best: int | None
) -> str | None:
  """Returns why training stops at a step, or None where it goes on.

  Args:
    config: as in configs/default.py.
    data: the run's data.
    step: how many steps are done.
    seconds: how long they took, validation not counted.
    best: the saved step of the highest score; None before the first.

  Returns:
    The reason in words. After the last step there is none: training does not
    stop early.
  """
  if step >= data.total_steps:
    return None
  minutes, patience = config.train.max_minutes, config.train.patience
  if minutes and seconds >= 60 * minutes:
    return f'{minutes} minutes are over'
  if patience and best and step - best >= patience * data.steps_per_epoch:
    return (
      f'{patience} epochs without a better validation '
      f'{config.train.monitor}; step {best} is the best'
    )
  return None


class StopSignal:
  """Notes SIGINT, SIGTERM or SIGHUP, so that a run can save before it ends.

  The first signal sets `received`; a second one ends the process at once. What
  is on the disk is whole at any moment, so nothing is lost then but the steps
  since the latest checkpoint. SIGHUP comes twice where a terminal closes, of
  the shell and of the system, so it never counts as the second; it stays
  ignored where `nohup` has seen to that. Use it as a context manager, in the
  main thread.

  Attributes:
    received: the number of the signal; 0 before it.
  """

  def __init__(self):
    self.received = 0
    self._handlers_before = {}
    self._terminals = []

  def __enter__(self):
    streams_there = [x for x in (sys.stdout, sys.stderr) if x is not None]
    self._terminals = [x for x in streams_there if x.isatty()]
    for name in _SIGNALS:
      number = getattr(signal, name, None)
      is_ignored = number and signal.getsignal(number) == signal.SIG_IGN
      if number and not (name == 'SIGHUP' and is_ignored):
        self._handlers_before[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *_):
    for number, handler in self._handlers_before.items():
      signal.signal(number, handler)

  def received_by_any(self) -> int:
    """Returns the signal that a process got, or 0; all must call it together.

    Of several the highest number counts, in all processes.
    """
    return int(max(processes.gather(self.received)))

  def _handle(self, number, _):
    for stream in self._terminals:
      if not stream.isatty():  # it has closed, and writing would fail
        streams.give_up(stream)
    hangup = getattr(signal, 'SIGHUP', None)
    if self.received and hangup not in (number, self.received):
      os._exit(128 + number)  # the exit status that shells give a signal
    self.received = self.received or int(number)


class SkippedSteps:
  """Counts skipped steps, and ends a run that skips too many in a row.

  Attributes:
    in_a_row: how many were skipped just before the next step.
  """

  def __init__(self, data: RunData, limit: int, in_a_row: int):
    """Starts to count.

    Args:
      data: the run's data, to name the photos of a step.
      limit: how many skipped steps in a row end the run.
      in_a_row: how many were skipped just before the next step.
    """
    self._data = data
    self._limit = limit
    self.in_a_row = in_a_row

  def add(self, step: int, skipped: bool) -> None:
    """Takes note of a step. Call it for every step, in their order.

    Args:
      step: counted from 1 over all epochs.
      skipped: whether the step was skipped.

    Raises:
      UserError: the limit is reached.
    """
    self.in_a_row = self.in_a_row + 1 if skipped else 0
    if self.in_a_row < self._limit:
      return
    files = ', '.join(self._data.training_files(step - 1))
    raise UserError(
      f'the loss or its gradient was not finite in {self._limit} steps in a '
      f'row, the last of them step {step} on {files}; choose another --workdir '
      'and a lower config.optimizer.learning_rate or '
      'config.optimizer.clip_norm, or look at these files.'
    )
