"""What batches cost: one clock for this project and for its peers."""

import resource
import time
from collections.abc import Iterable


def course(batches: Iterable[int]) -> dict[str, float]:
  """Takes all batches.

  Args:
    batches: the number of images of each, once it is there.

  Returns:
    How many `images` there were, and the seconds: by the `wall` clock, and on a
    `cpu` in user and system mode, of this process and those that it started and
    that have ended.
  """
  wall, cpu = time.perf_counter(), _cpu_seconds()
  images = sum(batches)
  return {
    'images': images,
    'wall': time.perf_counter() - wall,
    'cpu': _cpu_seconds() - cpu,
  }


def _cpu_seconds():
  used = map(
    resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
  )
  return sum(x.ru_utime + x.ru_stime for x in used)
