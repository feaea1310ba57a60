"""Devices: mesh, placement and batches. The only file that names pmap.

`jax.pmap` is `jit(shard_map)` since JAX 0.8. It stays fast if the state is
placed once under the mesh's own sharding and batches arrive in one transfer.

Where several processes train one run, each has its own devices, a copy of the
state on each of them, and its part of every batch; a training step runs on the
devices of all processes. pmap would copy every array of the state in each call
there, so the step is compiled by `jit(shard_map)` for arrays that belong to all
processes.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

AXIS = 'batch'  # the axis of the devices, as steps know it


def use_all_cores(*batch_sizes: int) -> None:
  """Makes a JAX device of every core, unless the environment says otherwise.

  Networks train and predict up to twice as fast as with one device that
  spreads each operation over the cores. Accelerators are not concerned. Call it
  before JAX is used.

  Args:
    *batch_sizes: sizes that the number of devices has to divide; there are as
      many devices as that allows.
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


def refuse_absent_platform() -> None:
  """Checks that there are devices of the kind that JAX_PLATFORMS asks for.

  Raises:
    UserError: there are none.
  """
  try:
    jax.devices()
  except (RuntimeError, AssertionError) as error:  # for cuda the latter
    wanted = jax.config.jax_platforms
    if not wanted:
      raise
    reason = f' ({error})' if str(error) else ''
    raise UserError(
      f'JAX has no device for JAX_PLATFORMS={wanted}{reason}; unset that '
      "variable to use what there is, or install JAX's build for such devices."
    ) from error


def mesh() -> Mesh:
  """Returns a mesh of this process's devices in a row."""
  return Mesh(np.array(jax.local_devices()), (AXIS,))


def replicated() -> NamedSharding:
  """Returns the placement of a state: a whole copy on every device."""
  return NamedSharding(mesh(), PartitionSpec())


def replicate(values: Any) -> Any:
  """Copies arrays to every device of this process.

  Args:
    values: a tree of arrays.

  Returns:
    The same tree, with the whole of every array on every device.
  """
  return jax.device_put(values, replicated())


def create(function: Callable[..., Any], *args) -> Any:
  """Computes new arrays straight into replicated placement.

  Args:
    function: a pure function that can be compiled.
    *args: its arguments.

  Returns:
    What the function returns, with a whole copy on every device.
  """
  return _replicating(function)(*args)


def abstract(function: Callable[..., Any]) -> Any:
  """Returns what `create` would, with shapes in the place of arrays.

  Args:
    function: a pure function without arguments.

  Returns:
    A tree of `jax.ShapeDtypeStruct` with their placement.
  """
  place = lambda x: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=replicated()
  )
  return jax.tree.map(place, _replicating(function).trace().out_info)


@functools.lru_cache(maxsize=1)
def _replicating(function):
  """The compiled function of `create`, traced once for `abstract` as well."""
  options = {}
  if jax.default_backend() == 'cpu':
    # The program runs once. With full optimization LLVM would take four times
    # as long to compile the random values of a network, for the same bits.
    options['xla_backend_optimization_level'] = 1
  return jax.jit(function, out_shardings=replicated(), compiler_options=options)


def train_step(step: Callable) -> Callable[..., tuple[Any, dict]]:
  """Makes a training step run on all devices of all processes.

  Args:
    step: a function `(state, batch) -> (state, metrics)`. What it returns must
      be equal on all devices; JAX doesn't check that.

  Returns:
    A function `(state, batch, stop_requested=False) -> (state, metrics)`. The
    state is replicated and donated, batches are split as by `to_devices`. Of
    several processes, what it returns belongs to all together, see `own`. The
    metric `stop_requests` is above 0 if any process has asked to stop. It is
    the same number in all processes, so all can act on it at the same step.
  """

  def with_request(state, batch, stop_requested):
    state, metrics = step(state, batch)
    requests = jax.lax.psum(stop_requested, AXIS)
    return state, metrics | {'stop_requests': requests}

  if jax.process_count() == 1:
    mapped = jax.pmap(
      with_request,
      axis_name=AXIS,
      in_axes=(None, 0, 0),
      out_axes=(None, None),
      donate_argnums=(0,),
    )
  else:
    mapped = _map_over_processes(with_request)
  count = jax.local_device_count()
  # Placed once: the step is given one of the two.
  no, yes = (
    jax.device_put(np.full(count, x, np.int32), _split()) for x in (0, 1)
  )
  return lambda state, batch, stop_requested=False: mapped(
    state, batch, yes if stop_requested else no
  )


def own(values: Any) -> Any:
  """Returns what a training step returned as arrays of this process alone.

  Args:
    values: a tree of arrays that are replicated on the devices of all
      processes, or of this one.

  Returns:
    The tree, replicated on the devices of this process; nothing is copied.
  """
  if jax.process_count() == 1:
    return values
  return jax.tree.map(lambda x: _rewrapped(x, replicated(), x.shape), values)


def eval_step(step: Callable) -> Callable:
  """Makes an evaluation step run on the devices of this process.

  Args:
    step: a function `(variables, batch) -> values`, with values for each
      example. It must not communicate between devices, as nothing keeps the
      calls of several processes in one order.

  Returns:
    The same function for replicated variables and split batches; it returns
    values [devices, B / devices, ...], see `to_host`.
  """
  return jax.pmap(
    step, axis_name=AXIS, in_axes=(None, 0), devices=jax.local_devices()
  )


def to_devices(batches: Iterable[Any], ahead: int = 2) -> Iterator[Any]:
  """Splits batches over the devices, and sends some of them in advance.

  Args:
    batches: trees of arrays [B, ...]; the number of local devices divides B.
    ahead: how many batches are sent before the first one is needed.

  Returns:
    An iterator of the same trees of arrays [devices, B / devices, ...].
  """
  devices = jax.local_device_count()
  split = lambda x: x.reshape(devices, -1, *x.shape[1:])
  send = lambda batch: jax.device_put(jax.tree.map(split, batch), _split())
  return threads.read_ahead(map(send, batches), ahead)


def to_host(values: Any) -> Any:
  """Fetches values that are split over the devices.

  Args:
    values: a tree of arrays [devices, B / devices, ...].

  Returns:
    The same tree of NumPy arrays [B, ...].
  """
  merge = lambda x: np.asarray(x).reshape(-1, *x.shape[2:])
  return jax.tree.map(merge, values)


def _split():
  return NamedSharding(mesh(), PartitionSpec(AXIS))


def _map_over_processes(step):
  """Does what pmap would, with a state that stays with all processes."""
  processes = range(jax.process_count())
  everywhere = Mesh(
    np.concatenate([jax.local_devices(process) for process in processes]),
    (AXIS,),
  )
  whole, split = PartitionSpec(), PartitionSpec(AXIS)

  def on_device(state, *rows):
    return step(state, *jax.tree.map(lambda x: jnp.squeeze(x, 0), rows))

  mapped = jax.jit(
    jax.shard_map(
      on_device,
      mesh=everywhere,
      in_specs=(whole, split, split),
      out_specs=whole,
      check_vma=False,
    ),
    donate_argnums=0,
  )
  whole, split = (NamedSharding(everywhere, spec) for spec in (whole, split))

  def share(x):
    return x if x.sharding == whole else _rewrapped(x, whole, x.shape)

  def share_row(x):
    return _rewrapped(x, split, (everywhere.size, *x.shape[1:]))

  def call(state, *rows):
    return mapped(jax.tree.map(share, state), *jax.tree.map(share_row, rows))

  return call


def _rewrapped(x, sharding, shape):
  """Returns an array of the same memory on this process's devices."""
  return jax.make_array_from_single_device_arrays(
    shape, sharding, [shard.data for shard in x.addressable_shards]
  )
