"""Trains a few steps on N host devices; run by `steps_test.py`.

    python -m tests.helpers.steps_on_devices N FILE.npz

Writes every leaf of the final state and of the metrics, and fails if the
devices disagree or the step is traced more than once.
"""

import sys

import chex
import jax
import numpy as np

from carvana_jax import models
from carvana_jax.configs import default
from carvana_jax.parallel import devices
from carvana_jax.training import steps, train_state
from carvana_jax.training.optimizer import make_optimizer

BATCH, SIZE, STEPS = 8, (16, 24), 4


def batch_of(step: int) -> dict[str, np.ndarray]:
  """A global batch; the last three examples are padding in the last step."""
  rng = np.random.default_rng(step)
  weight = np.ones(BATCH, np.float32)
  if step == STEPS - 1:
    weight[-3:] = 0
  return {
    'image': rng.integers(0, 256, (BATCH, *SIZE, 3), np.uint8),
    'mask': rng.integers(0, 256, (BATCH, *SIZE), np.uint8),
    'weight': weight,
  }


def make_training():
  """The function that makes the first state, and the step on all devices."""
  config = default.get_config()
  # Most of the time goes into compiling layers.
  config.model.update(levels=2, encoder_convs=1, decoder_convs=1)
  config.model.first_width = 4
  # Before a BatchNorm a bias has no gradient but rounding errors, which an
  # optimizer that divides by their size, such as Adam, would blow up.
  config.optimizer.name = 'sgd'
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, STEPS)
  config.augment.flip_left_right = True
  config.augment.brightness = 0.2
  config.train.average_decay = 0.9
  step = steps.make_train_step(model, optimizer, config)
  step = devices.train_step(chex.assert_max_traces(step, n=1))
  create = lambda: train_state.create(model, optimizer, (*SIZE, 3), 0, True)
  return create, step


def arrays_of(tree) -> dict[str, np.ndarray]:
  """Every leaf, after a check that all devices hold the same."""
  found = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      leaf = jax.random.key_data(leaf)
    copies = [np.array(shard.data) for shard in leaf.addressable_shards]
    assert len(copies) == jax.device_count()
    for copy in copies:
      np.testing.assert_array_equal(copy, copies[0], str(path))
    found[jax.tree_util.keystr(path)] = copies[0]
  return found


def main(device_count: int, path: str) -> None:
  """Trains and writes."""
  chex.set_n_cpu_devices(device_count)
  create, step = make_training()
  state = devices.create(create)
  # As after a restore: new arrays in the same placement.
  state = jax.device_put(state, devices.replicated())
  batches = devices.to_devices(map(batch_of, range(STEPS)))
  for batch in batches:
    assert len(batch['image'].devices()) == device_count
    with jax.transfer_guard('disallow'):
      state, metrics = step(state, batch)
  np.savez(path, **arrays_of((state, metrics)))


if __name__ == '__main__':
  main(int(sys.argv[1]), sys.argv[2])
