"""The steps of one epoch, and the sums of what they measure."""

import collections
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from carvana_jax.parallel import devices, processes
from carvana_jax.system import cli, progress
from carvana_jax.training.stopping import SkippedSteps, StopSignal
from carvana_jax.training.train_state import TrainState

# The devices are never more than so many steps ahead of the host.
_STEPS_AHEAD = 2


def train(
  train_step: Callable[..., tuple[TrainState, dict[str, jax.Array]]],
  batches: Iterator[dict[str, jax.Array]],
  count: int,
  state: TrainState,
  sums: dict[str, float],
  deadline: float,
  skipped: SkippedSteps,
  stop_signal: StopSignal,
) -> tuple[TrainState, dict[str, float]]:
  """Trains to the end of an epoch, unless a process has to stop before.

  Args:
    train_step: as returned by `devices.train_step`.
    batches: those of the run from this step on, on the devices.
    count: how many steps an epoch has.
    state: the state after the steps before; it is given away.
    sums: of the epoch's steps before this one, {} at its start.
    deadline: when to stop, on the clock `time.monotonic`.
    skipped: told of every step.
    stop_signal: looked at after every step.

  Returns:
    The new state, and the new sums: each metric, summed over the images of the
    steps that were not skipped; `images` and `skipped`, how many these images
    and the skipped steps are; `seconds`, the time that all took; `waited`, the
    seconds of it that the host spent waiting for batches.

  Raises:
    UserError: too many steps in a row were skipped.
  """
  started = time.monotonic()
  sums = collections.Counter(sums)
  # Numbers are fetched some steps late, so that the devices never wait for
  # the host; steps skipped in a row are still noticed at once.
  pending = collections.deque()
  epoch, done = divmod(int(state.step), count)
  with progress.bar(
    total=count, initial=done, title=f'epoch {epoch + 1}', unit='step'
  ) as bar:
    stop_requested = stop = False
    for position in range(done, count):
      asked = time.monotonic()
      batch = next(batches)
      sums['waited'] += time.monotonic() - asked
      state, values = train_step(state, batch, stop_requested)
      pending.append((epoch * count + position + 1, values))
      if len(pending) > _STEPS_AHEAD:
        stop = _add(*pending.popleft(), sums, skipped, bar)
      bar.update()
      # The processes' clocks differ; that of the first counts.
      late = processes.is_first() and time.monotonic() > deadline
      stop_requested = stop_signal.received or late
      if stop or (stop_requested and processes.is_only()):
        break
    while pending:
      _add(*pending.popleft(), sums, skipped, bar)
  sums['seconds'] += time.monotonic() - started
  return devices.own(state), dict(sums)


def means(sums: dict[str, float]) -> dict[str, float]:
  """Turns an epoch's sums into means over its images.

  Args:
    sums: as returned by `train`.

  Returns:
    The mean of each metric; of `skipped` the number of steps.
  """
  images = sums['images'] or math.nan
  averages = {
    name: value / images
    for name, value in sums.items()
    if name not in ('images', 'seconds', 'waited')
  }
  return averages | {'skipped': sums['skipped']}


def announce_first(train_step: Callable[..., Any]) -> Callable[..., Any]:
  """Wraps a step so that its first call prints how long the start took.

  Args:
    train_step: as returned by `devices.train_step`.

  Returns:
    A function of the same arguments and results.
  """
  is_announced = not processes.is_first()

  def step(*arguments):
    nonlocal is_announced
    results = train_step(*arguments)
    if not is_announced:
      is_announced = True
      jax.block_until_ready(results)
      seconds = time.monotonic() - cli.STARTED
      progress.print_above(f'first step after {seconds:.1f} s')
    return results

  return step


def _add(step, values, sums, skipped_steps, bar):
  """Adds a step's values; returns whether a process wants to stop."""
  # At once: one by one, each would be asked for only after the one before.
  values = {name: float(x) for name, x in jax.device_get(values).items()}
  images, skipped = values.pop('images'), values.pop('skipped')
  stop_requests = values.pop(
    'stop_requests'
  )  # of all processes, which all learn here
  skipped_steps.add(step, skipped > 0)
  sums['skipped'] += skipped
  sums['images'] += 0 if skipped else images
  for name, value in values.items():
    sums[name] += 0 if skipped else value * images
  bar.set_postfix(loss=f'{values["loss"]:.4f}', refresh=False)
  return stop_requests > 0
