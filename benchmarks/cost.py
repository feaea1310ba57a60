"""Measures a config's training steps on the devices at hand.

    python -m benchmarks.cost --config=configs/unet512.py

These are the steps that `main` runs, with augmentation and optimizer, on one
random batch that stays on the devices, so reading photos does not count. Prints
the seconds to the end of the first step, most of which is compilation, then
medians over the rounds, and the most memory that a device held, where it keeps
count. FLOPs are three times those of `summary`, as a step also takes the
gradients of inputs and kernels.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_integer('steps', 20, 'In a round.', lower_bound=1)
  flags.DEFINE_integer('rounds', 5, 'Of steps.', lower_bound=1)
  flags.DEFINE_string('json', '', "File for the figures; '': none.")
  cli.parse()
  malloc.keep_freed()

import json
import statistics
import time

import jax

from benchmarks import own_step, workers
from carvana_jax import models
from carvana_jax.datasets import prepare
from carvana_jax.models import layer_table
from carvana_jax.parallel import devices
from carvana_jax.system import files
from carvana_jax.training import check_config, loop, steps, train_state
from carvana_jax.training.optimizer import make_optimizer


def measure(config, count: int, rounds: int) -> dict[str, float | str]:
  """Measures a config's training steps.

  Args:
    config: a config, with the fields of configs/default.py.
    count: how many steps a round has.
    rounds: how many rounds are timed, after one step that compiles.

  Returns:
    The device's name, the number of parameters, and times, rates and memory by
    the names that are printed.
  """
  shape = prepare.input_shape(config.data)
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 10**6)
  state = devices.create(train_state.creator(config, model, optimizer))
  step = devices.train_step(steps.make_train_step(model, optimizer, config))
  batch = own_step.example(shape, config.train.batch_size)

  def take(count):
    """Returns the seconds that so many steps take."""
    nonlocal state
    started = time.perf_counter()
    for _ in range(count):
      state, measured = step(state, batch)
    jax.block_until_ready((state, measured))
    return time.perf_counter() - started

  first = take(1)
  seconds = statistics.median(take(count) / count for _ in range(rounds))
  flops = 3 * sum(layer.flops for layer in layer_table.layers(model, shape))
  device = jax.devices()[0]
  held = device.memory_stats() or {}  # CPUs keep no count
  return {
    'device': f'{jax.device_count()} x {device.device_kind}',
    'parameters': sum(x.size for x in jax.tree.leaves(state.params)),
    'first_step_s': first,
    'step_ms': 1000 * seconds,
    'images_per_second': config.train.batch_size / seconds,
    'tflops_per_second': config.train.batch_size * flops / seconds / 1e12,
    'peak_gb': held.get('peak_bytes_in_use', 0) / 1e9,
  }


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  loop.use_cores(args.config)
  check_config.check(args.config)
  check_config.refuse_tiles(args.config)
  json_file = workers.output_file(args.json)
  found = measure(args.config, args.steps, args.rounds)
  for name, value in found.items():
    shown = value if isinstance(value, str) else f'{value:,.1f}'
    print(f'{name:18} {shown}')
  if json_file:
    files.write(json_file, json.dumps(found, indent=2) + '\n')


if __name__ == '__main__':
  cli.run(main)
