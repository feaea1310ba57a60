"""The talk between a benchmark and the process of each library.

The process prints the number of its network's parameters when it is ready. For
every line of its input, `TASK N`, it does the task N times and prints how many
seconds that took. Libraries print, too, so answers begin with a word of their
own. The other end is `benchmarks.workers`.
"""

import sys
import time
from collections.abc import Callable

ANSWER = 'answer:'


def serve(parameters: int, tasks: dict[str, Callable[[int], None]]) -> None:
  """Answers until its input ends.

  Args:
    parameters: of the network, batch statistics included.
    tasks: by name what does so many steps, and waits for them to be over.
  """
  print(ANSWER, parameters, flush=True)
  for line in sys.stdin:
    name, count = line.split()
    start = time.perf_counter()
    tasks[name](int(count))
    print(ANSWER, time.perf_counter() - start, flush=True)
