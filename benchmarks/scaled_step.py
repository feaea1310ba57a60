"""Training steps on several host devices, asked for by `frameworks.serving`.

python -m benchmarks.scaled_step NAME BATCH DEVICES [COORDINATOR COUNT INDEX]

Its tasks are `step`, and `collectives`: summing the gradient over all devices,
as a step does, without the rest of the step.
"""

import sys

import jax

from benchmarks import own_step
from benchmarks.frameworks import serving
from carvana_jax.datasets import prepare
from carvana_jax.parallel import devices
from carvana_jax.system import malloc


def main(name, batch, device_count, coordinator=None, count=1, index=0):
  malloc.keep_freed()
  jax.config.update('jax_num_cpu_devices', int(device_count))
  if coordinator:
    jax.distributed.initialize(coordinator, int(count), int(index))
  shape = prepare.input_shape(own_step.compared_config(name).data)
  _, state, step = own_step.training(name, shape)
  add = devices.train_step(
    lambda tree, batch: (jax.lax.psum(tree, devices.AXIS), {})
  )
  gradient = jax.tree.map(lambda x: 0 * x, state.params)
  example = own_step.example(shape, int(batch) // int(count))

  def take_steps(count):
    nonlocal state
    for _ in range(count):
      state, measured = step(state, example)
      # XLA aborts if hundreds of sums wait in line.
      jax.block_until_ready((state, measured))

  def collect(count):
    nonlocal gradient
    for _ in range(count):
      gradient, _ = add(gradient, example)
      jax.block_until_ready(gradient)

  parameters = sum(x.size for x in jax.tree.leaves(state.variables))
  serving.serve(parameters, {'step': take_steps, 'collectives': collect})


if __name__ == '__main__':
  main(*sys.argv[1:])
