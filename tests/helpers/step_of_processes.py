"""Takes steps in one of several processes; run by `devices_test.py`.

    python -m tests.helpers.step_of_processes PORT COUNT INDEX

Prints whether `devices.train_step` gives the bits that pmap gives, what became
of the state that was given away, and where the new one is.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.parallel import devices

STEPS = 3


def step(state, batch):
  """Takes a step in which every device's place and rows count."""
  own = jnp.sin(batch['image']).sum(0) * (1 + jax.lax.axis_index(devices.AXIS))
  total = jax.lax.psum(own, devices.AXIS)
  state = {'sum': state['sum'] * 0.9 + total, 'step': state['step'] + 1}
  return state, {'loss': total.mean()}


def start():
  return devices.replicate(
    {'sum': np.zeros(3, np.float32), 'step': np.int32(0)}
  )


def main(port, count, index):
  jax.config.update('jax_num_cpu_devices', 2)
  jax.distributed.initialize(f'localhost:{port}', int(count), int(index))
  rng = np.random.default_rng(int(index))
  batches = [
    {'image': rng.normal(size=(4, 3)).astype(np.float32)} for _ in range(STEPS)
  ]
  mapped = jax.pmap(
    step, devices.AXIS, in_axes=(None, 0), out_axes=(None, None)
  )
  run = devices.train_step(step)
  expected, state = start(), start()
  first = state
  for batch in devices.to_devices(batches):
    expected, expected_values = mapped(expected, batch)
    state, values = run(state, batch, stop_requested=int(index) == 1)
    requests = values.pop('stop_requests')
    assert int(requests) > 0
    own = devices.own(state)
    state = own if int(own['step']) == 2 else state  # both are taken
    for a, b in zip(
      jax.tree.leaves((own, values)),
      jax.tree.leaves((expected, expected_values)),
      strict=True,
    ):
      assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
  assert own['sum'].sharding == devices.replicated()
  assert all(x.is_deleted() for x in first.values())
  # On these devices alone, without the other process.
  twice = jax.jit(lambda x: 2 * x)(own['step'])
  print(int(twice), flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
