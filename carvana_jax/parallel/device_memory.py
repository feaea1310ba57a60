"""The memory of the devices: how much there is, and what to do without it."""

import contextlib
from collections.abc import Callable, Iterator

import jax

from carvana_jax.system.errors import UserError


def per_device() -> int | None:
  """Returns how many bytes of a device JAX may use; None if it won't tell."""
  stats = jax.local_devices()[0].memory_stats() or {}
  return stats.get('bytes_limit')


@contextlib.contextmanager
def explained(remedy: Callable[[], str]) -> Iterator[None]:
  """Turns the error of memory that ran out into one line for the user.

  A step is compiled, and given to a device, long before its values are asked
  for; the error may come at each of these. So let the context hold them all.

  Args:
    remedy: a function that returns the rest of that line, what the memory was
      wanted for and what to change.

  Raises:
    UserError: the devices' memory ran out.
  """
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    # JAX's errors have their status in the text alone. It is that of messages
    # between processes, too, which may be too long.
    text = str(error)
    if 'RESOURCE_EXHAUSTED' not in text or 'memory' not in text.lower():
      raise
    size = per_device()
    each = f' (JAX may use {size / 1e9:.1f} GB of each)' if size else ''
    kind = jax.local_devices()[0].device_kind
    raise UserError(
      f'out of device memory on {kind}{each} {remedy()}'
    ) from error
