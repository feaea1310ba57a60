"""A thread pool that keeps the order and holds only a few results."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

from carvana_jax.system import cores

T = TypeVar('T')
R = TypeVar('R')


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
  """Yields `function(item)` in the order of the items, computed by threads.

  At most two results a core wait to be taken, so memory stays flat however
  many items there are. Decoding and resizing release the interpreter's lock.
  """
  workers = cores.count()
  with futures.ThreadPoolExecutor(workers) as pool:
    waiting = collections.deque()
    for item in items:
      waiting.append(pool.submit(function, item))
      if len(waiting) > 2 * workers:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
