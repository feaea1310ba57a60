"""How much memory is free, on Linux."""

import pathlib
from collections.abc import Iterator

_ROOT = pathlib.Path('/')
# Of both versions of control groups, by the controller in /proc/self/cgroup:
# folder, files of the limit and of what is used, and what memory.stat calls the
# part of it that is only a cache of files, which is given up when needed.
_GROUPS = {
  '': ('', 'memory.max', 'memory.current', 'inactive_file'),
  'memory': (
    'memory',
    'memory.limit_in_bytes',
    'memory.usage_in_bytes',
    'total_inactive_file',
  ),
}


def free_memory() -> int | None:
  """Returns how many bytes this process may still take.

  That is the least of what the machine has left and what is left by the limits
  that containers and schedulers set (control groups). None: not known, as on
  systems other than Linux.
  """
  try:
    free = 1024 * _fields(_ROOT / 'proc/meminfo')['MemAvailable:']
    return max(0, min([free, *_left_by_limits()]))
  except (OSError, KeyError):
    return None


def _left_by_limits() -> Iterator[int]:
  """Yields the bytes left by each limit of this process's control groups."""
  for line in (_ROOT / 'proc/self/cgroup').read_text().splitlines():
    _, controllers, path = line.split(':', 2)
    for controller in _GROUPS.keys() & set(controllers.split(',')):
      folder, limit, used, cache = _GROUPS[controller]
      top = _ROOT / 'sys/fs/cgroup' / folder
      group = top / path.lstrip('/')
      # Limits hold for all groups below. In a container only the top may exist.
      for place in (group, *group.parents):
        if place.is_relative_to(top) and (place / used).exists():
          text = (place / limit).read_text().strip()
          if text != 'max':
            taken = int((place / used).read_text())
            yield int(text) - taken + _fields(place / 'memory.stat')[cache]


def _fields(path):
  """Returns {name: number} of a file with a field a line."""
  lines = (line.split() for line in path.read_text().splitlines())
  return {words[0]: int(words[1]) for words in lines}
