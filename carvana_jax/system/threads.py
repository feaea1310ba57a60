"""The number of cores, and thread pools that keep the order of results."""

import collections
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')


class Pool(futures.ThreadPoolExecutor):
  """A thread a core, for a generator to hold.

  A generator that is not used up ends when Python drops it, in whatever thread
  that happens. So leaving the pool drops the work that has not begun, and waits
  for the rest only in the thread that has made the pool: one of its own would
  wait for itself.
  """

  def __init__(self):
    """Constructs the pool."""
    super().__init__(core_count())
    self._owner = threading.get_ident()

  def __exit__(self, *_):
    is_owner = threading.get_ident() == self._owner
    self.shutdown(wait=is_owner, cancel_futures=True)


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
  """Yields `function(item)` in the order of the items, computed by threads.

  At most two results per core wait to be taken, so that memory stays bounded
  however many items there are. Threads suffice, as decoding and resizing
  release the interpreter's lock.

  Args:
    function: what is computed of each item.
    items: the items; they are taken in the caller's thread.

  Yields:
    The results.

  Raises:
    Exception: whatever the function raises, at the turn of its item.
  """
  with Pool() as pool:
    tasks = (pool.submit(function, item) for item in items)
    for task in read_ahead(tasks, 2 * core_count()):
      yield task.result()


def read_ahead(items: Iterable[T], count: int) -> Iterator[T]:
  """Yields items, and takes some in advance, so that work on them can begin.

  Args:
    items: the items; they are taken in the caller's thread.
    count: how many are taken before the first one is needed.

  Yields:
    The items in their order.
  """
  waiting = collections.deque()
  for item in items:
    waiting.append(item)
    if len(waiting) > count:
      yield waiting.popleft()
  while waiting:
    yield waiting.popleft()


def core_count() -> int:
  """Returns how many cores this process may use.

  Schedulers, taskset and the CPU sets of containers may leave it fewer cores
  than the machine has.
  """
  if hasattr(os, 'sched_getaffinity'):  # not on every system
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
