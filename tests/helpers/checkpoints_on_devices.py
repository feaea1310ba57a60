"""Trains a step on N host devices from the checkpoint of others, and saves it.

    python -m tests.helpers.checkpoints_on_devices N WORKDIR FILE.npz

Run by `checkpoint_test.py`. Without a checkpoint it starts anew. Writes every
leaf as `before` and `after` the step.
"""

import pathlib
import sys

import chex
import numpy as np

from carvana_jax.parallel import devices
from carvana_jax.training import checkpoint
from tests.helpers import steps_on_devices


def main(device_count: int, workdir: str, path: str) -> None:
  """Loads, trains, saves and writes."""
  chex.set_n_cpu_devices(device_count)
  create, train_step = steps_on_devices.make_training()
  with checkpoint.Checkpoints(pathlib.Path(workdir)) as checkpoints:
    step = checkpoints.latest_step()
    if step is None:
      state = devices.create(create)
    else:
      state = checkpoint.read_state(
        pathlib.Path(workdir), step, devices.abstract(create)
      )
    before = steps_on_devices.arrays_of(state)
    batch = steps_on_devices.batch_of(int(state.step))
    for placed in devices.to_devices([batch]):
      state, _ = train_step(state, placed)
    after = steps_on_devices.arrays_of(state)
    checkpoints.save(state, {}, score=0.0)
  np.savez(
    path,
    **{f'before{name}': value for name, value in before.items()},
    **{f'after{name}': value for name, value in after.items()},
  )


if __name__ == '__main__':
  main(int(sys.argv[1]), *sys.argv[2:])
