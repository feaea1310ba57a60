"""Messages between the processes that train one run.

All processes must call these functions in the same order. In a run of one
process they cost nothing.
"""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError


def is_first() -> bool:
  """Returns whether this process is the one that prints and writes files."""
  return jax.process_index() == 0


def is_only() -> bool:
  """Returns whether the run has no other process."""
  return jax.process_count() == 1


def run_in_all(function: Callable[[], Any]) -> Any:
  """Calls a function in every process; if it fails in one, all fail.

  Args:
    function: a function without arguments.

  Returns:
    What it returns in this process.

  Raises:
    UserError: it failed in another process.
    Exception: whatever it raises in this process.
  """
  if is_only():
    return function()
  result, error = None, None
  try:
    result = function()
  except Exception as caught:
    error = caught
  failed = multihost_utils.process_allgather(np.bool_(error is not None))
  if error is not None:
    raise error
  if failed.any():
    raise UserError(
      f'process {failed.argmax()} of the run cannot go on; its own output says '
      'why.'
    )
  return result


def broadcast_result(function: Callable[[], Any]) -> Any:
  """Calls a function in the first process, and returns its result in all.

  Args:
    function: a function without arguments, whose result can be JSON.

  Returns:
    The result; where there are several processes, as it is read from JSON.

  Raises:
    UserError: it failed, and this is another process.
    Exception: whatever it raises, in the first process.
  """
  if is_only():
    return function()
  result = run_in_all(lambda: function() if is_first() else None)
  return gather(result)[0]


def gather(value: Any) -> list[Any]:
  """Collects a value of every process.

  Args:
    value: this process's value, which can be JSON.

  Returns:
    The values in the order of the processes; where there are several, as they
    are read from JSON.
  """
  if is_only():
    return [value]
  text = np.frombuffer(json.dumps(value).encode(), np.uint8)
  sizes = multihost_utils.process_allgather(np.int32(len(text)))
  padded = np.pad(text, (0, sizes.max() - len(text)))
  texts = multihost_utils.process_allgather(padded)
  return [
    json.loads(row[:size].tobytes())
    for row, size in zip(texts, sizes, strict=True)
  ]


def interleave(own: list[Any]) -> list[Any]:
  """Joins the items that the processes made of their slices of a list.

  Args:
    own: what this process made of its `own_slice` of the list, which can be
      JSON.

  Returns:
    All items in the order of that list; where there are several processes, as
    they are read from JSON.
  """
  parts = gather(own)
  whole = [None] * sum(map(len, parts))
  for index, items in enumerate(parts):
    whole[index :: len(parts)] = items
  return whole


def own_slice() -> slice:
  """Returns the slice of a list that this process works on: every n-th item."""
  return slice(jax.process_index(), None, jax.process_count())


def broadcast_arrays(function: Callable[[], Any], like: Any) -> Any:
  """Calls a function in the first process, and sends its arrays to all.

  Args:
    function: a function without arguments that returns a tree of arrays.
    like: the shapes and types of the tree, as `devices.abstract` returns them.

  Returns:
    The tree, replicated on the devices of every process.

  Raises:
    UserError: it failed, and this is another process.
    Exception: whatever it raises, in the first process.
  """
  if is_only():
    return function()
  arrays = run_in_all(lambda: function() if is_first() else None)
  if arrays is None:
    arrays = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
  # As bytes: numbers are added to the others' zeros, which makes +0 of -0.
  plain = jax.tree.map(
    lambda x: np.frombuffer(np.asarray(x).tobytes(), np.uint8), arrays
  )
  arrays = jax.tree.map(
    lambda x, wanted: x.view(wanted.dtype).reshape(wanted.shape),
    multihost_utils.broadcast_one_to_all(plain),
    like,
  )
  return devices.replicate(arrays)
