"""Hides what is not installed in a bare environment from this Python.

Python imports it at its start where this folder is in PYTHONPATH. ONLY holds
the names of the modules, besides its own and this project's, that are there.
"""

import os
import sys
from importlib.machinery import PathFinder

_THERE = {*sys.stdlib_module_names, *os.environ['ONLY'].split(',')}


class _Finder:
  """As Python's own, for the modules that are there."""

  @staticmethod
  def find_spec(name, path=None, target=None):
    """Returns where a module is, None where it is not there."""
    if name.partition('.')[0] in _THERE:
      return PathFinder.find_spec(name, path, target)
    return None


sys.meta_path[sys.meta_path.index(PathFinder)] = _Finder
