"""How many CPU cores this process may use."""

import os


def count() -> int:
  """The cores that a scheduler, taskset or a container's CPU set has left."""
  if hasattr(os, 'sched_getaffinity'):  # not on every system
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
