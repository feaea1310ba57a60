"""Cores at hand, and a thread pool that keeps the order of its results."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
  """Yields `function(item)` in the order of the items, computed by threads.

  At most two results a core wait to be taken, so memory stays flat however
  many items there are. Decoding and resizing release the interpreter's lock.
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
  """The cores that a scheduler, taskset or a container's CPU set has left."""
  if hasattr(os, 'sched_getaffinity'):  # not on every system
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
