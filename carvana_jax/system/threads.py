"""The number of cores, and a thread pool that keeps the order of results."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')


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
  workers = core_count()
  with futures.ThreadPoolExecutor(workers) as pool:
    waiting = collections.deque()
    for item in items:
      waiting.append(pool.submit(function, item))
      if len(waiting) > 2 * workers:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()


def core_count() -> int:
  """Returns how many cores this process may use.

  Schedulers, taskset and the CPU sets of containers may leave it fewer cores
  than the machine has.
  """
  if hasattr(os, 'sched_getaffinity'):  # not on every system
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
