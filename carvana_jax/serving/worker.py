"""Photos in a line of limited length, and the threads that work on them."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import TypeVar

from carvana_jax.serving.limits import Limits, Refused

T = TypeVar('T')

_IN_A_WHILE = {'Retry-After': '10'}  # seconds


class Line:
  """Photos that are read, wait or are worked on.

  Each worker is a thread that works on one photo at a time. Threads suffice, as
  decoding, networks and encoding release the interpreter's lock. All methods
  are for the thread of the event loop.

  Attributes:
    inside: how many photos there are.
    stopping: whether no more of them are let in.
  """

  def __init__(self, limits: Limits):
    """Constructs a line without photos."""
    self.inside = 0
    self.stopping = False
    self._workers = limits.workers
    self._places = limits.workers + limits.queue
    # Photos wait for this, not in the pool, which would keep those given up.
    self._free = asyncio.Semaphore(limits.workers)
    self._pool = futures.ThreadPoolExecutor(limits.workers, 'worker')
    self._seconds = 1.0  # of the latest photo's work

  @contextlib.contextmanager
  def place(self) -> Iterator[None]:
    """Holds a place for a photo.

    Raises:
      Refused: all places are taken, or the server is about to end.
    """
    self.refuse_if_stopping()
    if self.inside >= self._places:
      seconds = max(round(self.inside * self._seconds / self._workers), 1)
      raise Refused(
        429,
        f'{self.inside} photos are under way already; try again in '
        f'{seconds} s.',
        {'Retry-After': str(seconds)},
      )
    self.inside += 1
    try:
      yield
    finally:
      self.inside -= 1

  def refuse_if_stopping(self) -> None:
    """Raises `Refused` if the server is about to end."""
    if self.stopping:
      raise Refused(
        503, 'the server is stopping; try again in a while.', _IN_A_WHILE
      )

  async def work(self, function: Callable[[], T]) -> T:
    """Calls a function in a worker, once one is free.

    A call that has begun goes on to its end, even if nobody waits for it.

    Returns:
      What it returns.
    """
    await self._free.acquire()
    loop = asyncio.get_running_loop()

    def done(task):
      with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(self._free.release)

    task = self._pool.submit(self._timed, function)
    task.add_done_callback(done)
    return await asyncio.wrap_future(task)

  def _timed(self, function):
    begun = time.monotonic()
    try:
      return function()
    finally:
      self._seconds = time.monotonic() - begun
