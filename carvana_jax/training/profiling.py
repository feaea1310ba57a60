"""A trace of some training steps, for xprof, TensorBoard and Perfetto."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

from carvana_jax.parallel import processes
from carvana_jax.system import progress

# Steps of this start before the traced ones: the first one compiles, and a few
# more fill the queues.
_WARM_UP = 5


@contextlib.contextmanager
def traced(
  train_step: Callable[..., Any],
  count: int,
  folder: pathlib.Path,
  step: int,
) -> Iterator[Callable[..., Any]]:
  """Wraps a step so that a trace of some of its calls is written.

  The devices end all steps before the trace begins and all of its steps before
  it ends, so that it holds whole steps; no number changes. Of several processes
  the first one writes what its own devices do.

  Args:
    train_step: as returned by `devices.train_step`.
    count: how many steps are traced, 0: none.
    folder: where the trace goes, in plugins/profile/TIME.
    step: the number of steps before the first call.

  Yields:
    A function of the same arguments and results. A trace that is under way ends
    with the context.
  """
  if not count or not processes.is_first():
    yield train_step
    return
  trace = _Trace(train_step, count, folder, step)
  try:
    yield trace.step
  finally:
    trace.close()


class _Trace:
  """A step that is traced in some of its calls, see `traced`."""

  def __init__(self, train_step, count, folder, step):
    self._train_step, self._folder, self._done = train_step, folder, step
    self._first = step + _WARM_UP + 1
    self._last = step + _WARM_UP + count
    self._is_on = False
    self._metrics = None  # of the latest traced step

  def step(self, state, *arguments):
    number = self._done + 1
    if number == self._first:
      jax.block_until_ready(state)
      # Python's own functions are left out: to trace them takes the host time.
      options = jax.profiler.ProfileOptions()
      options.python_tracer_level = 0
      jax.profiler.start_trace(
        self._folder, create_perfetto_trace=True, profiler_options=options
      )
      self._is_on = True
    with jax.profiler.StepTraceAnnotation('train', step_num=number):
      results = self._train_step(state, *arguments)
    self._done = number
    if self._first <= number <= self._last:
      self._metrics = results[1]  # the state is given away by the next step
    if number == self._last:
      self._end()
    return results

  def close(self):
    """Ends a trace of fewer steps, or says that there is none."""
    if self._is_on:
      self._end()
    elif self._done < self._first:
      progress.print_above(
        f'no trace: training ended before step {self._first}'
      )

  def _end(self):
    jax.block_until_ready(self._metrics)
    self._is_on = False
    jax.profiler.stop_trace()
    progress.print_above(
      f'a trace of steps {self._first} to {self._done} is in {self._folder}; '
      'docs/accelerators.md says how to look at it'
    )
