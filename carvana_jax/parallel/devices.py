"""Devices: mesh, placement and batches. The only file that names pmap.

`jax.pmap` is `jit(shard_map)` since JAX 0.8. It stays fast if the state is
placed once under the mesh's own sharding and batches arrive in one transfer.

Of several processes each has its own devices, a copy of the state on each of
these, and its part of every batch; training steps run on all devices of all.
"""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from carvana_jax.system import threads

AXIS = 'batch'  # the devices' axis in steps


def use_all_cores(*batch_sizes: int) -> None:
  """Makes a device of every core at hand, if nobody chose; before JAX is used.

  Networks train and predict up to twice as fast as with one device that
  spreads each operation over the cores. Accelerators are not concerned.

  Args:
    batch_sizes: that must be divisible by the number of devices; it is the
      largest possible.
  """
  flags = os.environ.get('XLA_FLAGS', '')
  if (
    'xla_force_host_platform_device_count' in flags
    or 'JAX_NUM_CPU_DEVICES' in os.environ
  ):
    return
  count = threads.core_count()
  while any(size % count for size in batch_sizes):
    count -= 1
  jax.config.update('jax_num_cpu_devices', count)


def mesh() -> Mesh:
  """This process's devices in a row."""
  return Mesh(np.array(jax.local_devices()), (AXIS,))


def replicated() -> NamedSharding:
  """The placement of a state: a whole copy on every device."""
  return NamedSharding(mesh(), PartitionSpec())


def replicate(values: Any) -> Any:
  """A whole copy of every array on every device of this process."""
  return jax.device_put(values, replicated())


def create(function: Callable[..., Any], *args) -> Any:
  """`function(*args)` computed straight into replicated placement."""
  options = {}
  if jax.default_backend() == 'cpu':
    # The program runs once. LLVM's full optimization takes four times as long
    # over the random values of a network's layers, which have the same bits.
    options['xla_backend_optimization_level'] = 1
  return jax.jit(
    function, out_shardings=replicated(), compiler_options=options
  )(*args)


def abstract(function: Callable[..., Any]) -> Any:
  """Shapes, types and placement of what `create` would make."""
  place = lambda x: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=replicated()
  )
  return jax.tree.map(place, jax.eval_shape(function))


def train_step(step: Callable) -> Callable[..., tuple[Any, dict]]:
  """Runs `step(state, batch) -> (state, metrics)` on all devices.

  What the step returns must be equal on all devices: JAX doesn't check it.

  Returns:
    A function `(state, batch, wish=False) -> (state, metrics)`. The state is
    replicated and donated, batches are split (`to_devices`). The metric
    `wishes` is not 0 if any process gave a wish (to stop, for instance): the
    same number in all, so that all can follow it at the same step.
  """

  def with_wish(state, batch, wish):
    state, metrics = step(state, batch)
    return state, metrics | {'wishes': jax.lax.psum(wish, AXIS)}

  mapped = jax.pmap(
    with_wish,
    axis_name=AXIS,
    in_axes=(None, 0, 0),
    out_axes=(None, None),
    donate_argnums=(0,),
  )
  count = jax.local_device_count()
  wishes = [
    jax.device_put(np.full(count, x, np.int32), _split()) for x in (0, 1)
  ]
  return lambda state, batch, wish=False: mapped(state, batch, wishes[wish])


def eval_step(step: Callable) -> Callable:
  """Runs `step(variables, batch) -> per-example values` on own devices only.

  Values come back as [devices, batch / devices, ...], see `to_host`. The step
  must not communicate between devices: nothing orders one call after another.
  """
  return jax.pmap(
    step, axis_name=AXIS, in_axes=(None, 0), devices=jax.local_devices()
  )


def to_devices(batches: Iterable[Any], ahead: int = 2) -> Iterator[Any]:
  """Splits batches over the devices and keeps `ahead` of them in flight.

  Args:
    batches: trees of arrays [B, ...] where B divides by the number of local
      devices.
    ahead: how many batches are sent before the first one is needed.

  Yields:
    The same trees of arrays [devices, B / devices, ...].
  """
  devices = jax.local_device_count()
  split = lambda x: x.reshape(devices, -1, *x.shape[1:])
  waiting = collections.deque()
  for batch in batches:
    waiting.append(jax.device_put(jax.tree.map(split, batch), _split()))
    if len(waiting) > ahead:
      yield waiting.popleft()
  yield from waiting


def to_host(values: Any) -> Any:
  """[devices, B / devices, ...] on devices -> [B, ...] in NumPy."""
  merge = lambda x: np.asarray(x).reshape(-1, *x.shape[2:])
  return jax.tree.map(merge, values)


def _split():
  return NamedSharding(mesh(), PartitionSpec(AXIS))
