"""What several processes of one run tell each other.

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
  """Whether this process is the one that prints, and writes files."""
  return jax.process_index() == 0


def is_only() -> bool:
  """Whether the run has no other process."""
  return jax.process_count() == 1


def run_in_all(function: Callable[[], Any]) -> Any:
  """`function()` in every process; what fails in one, fails in all.

  Raises:
    UserError: it failed in another process. Here, what the function raises.
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
  """What `function()` gives in the first process, as from JSON.

  Raises:
    UserError: it failed, for the other processes.
  """
  if is_only():
    return function()
  found = run_in_all(lambda: function() if is_first() else None)
  return gather(found)[0]


def gather(value: Any) -> list[Any]:
  """Every process's value, as from JSON, in the processes' order."""
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
  """One list of what the processes have, which share it in turn.

  Args:
    own: items i, i + n, i + 2 n … of process i of n, see `part`.

  Returns:
    All items, as from JSON.
  """
  parts = gather(own)
  whole = [None] * sum(map(len, parts))
  for index, items in enumerate(parts):
    whole[index :: len(parts)] = items
  return whole


def own_slice() -> slice:
  """The items of a list that this process works on."""
  return slice(jax.process_index(), None, jax.process_count())


def broadcast_arrays(function: Callable[[], Any], like: Any) -> Any:
  """A tree of arrays that only the first process has, replicated in all.

  Args:
    function: gives the tree, called in the first process only.
    like: its shapes and types, as of `devices.abstract`.

  Raises:
    UserError: it failed, for the other processes.
  """
  if is_only():
    return function()
  found = run_in_all(lambda: function() if is_first() else None)
  if found is None:
    found = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
  # As bytes: numbers are added to the others' zeros, which makes +0 of -0.
  plain = jax.tree.map(
    lambda x: np.frombuffer(np.asarray(x).tobytes(), np.uint8), found
  )
  found = jax.tree.map(
    lambda x, wanted: x.view(wanted.dtype).reshape(wanted.shape),
    multihost_utils.broadcast_one_to_all(plain),
    like,
  )
  return devices.replicate(found)
