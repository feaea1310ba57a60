"""Measures a config's training steps on the devices at hand.

    python -m benchmarks.cost --config=configs/unet512.py

These are the steps that `main` runs, with augmentation and optimizer, on one
random batch that stays on the devices, so reading photos does not count. Prints
each figure as soon as it is known: the seconds to the libraries and to the
state, to the end of the first step, most of which is compilation, then medians
over the rounds, and the most memory that a device held, where it keeps count.
FLOPs are three times those of `summary`, as a step also takes the gradients of
inputs and kernels; `mfu_percent` is their share of the peak of dense bfloat16,
for devices whose peak is known. Compiled programs are kept and found again only
where JAX_COMPILATION_CACHE_DIR names a folder.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_integer('steps', 20, 'In a round.', lower_bound=1)
  flags.DEFINE_integer('rounds', 5, 'Of steps.', lower_bound=1)
  flags.DEFINE_bool(
    'plain', False, "Without what the peers' steps lack, with AdamW."
  )
  flags.DEFINE_string('json', '', "File for the figures; '': none.")
  cli.parse()
  malloc.keep_freed()

import json
import os
import statistics
import time
from collections.abc import Callable

import jax

from benchmarks import own_step, workers
from carvana_jax import models
from carvana_jax.datasets import prepare
from carvana_jax.models import layer_table
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import files
from carvana_jax.training import check_config, loop, steps, train_state
from carvana_jax.training.optimizer import make_optimizer

# TFLOP/s of a device in dense bfloat16, from the makers' data sheets, by a part
# of its name.
PEAKS = {'H100': 989, 'H200': 989, 'A100': 312, 'TPU v5 lite': 197}


def measure(
  config,
  count: int,
  rounds: int,
  tell: Callable[[dict[str, float | str]], None] = lambda found: None,
) -> dict[str, float | str]:
  """Measures a config's training steps.

  Args:
    config: a config, with the fields of configs/default.py.
    count: how many steps a round has.
    rounds: how many rounds are timed, after one step that compiles.
    tell: is called with figures as soon as they are known.

  Returns:
    The device's name, the number of parameters, and times, rates and memory by
    the names that are printed.
  """
  found = {}

  def learn(**figures):
    found.update(figures)
    tell(figures)

  begun = time.perf_counter()
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

  device = jax.devices()[0]
  learn(
    device=f'{jax.device_count()} x {device.device_kind}',
    parameters=sum(x.size for x in jax.tree.leaves(state.params)),
    state_s=time.perf_counter() - begun,
  )
  learn(first_step_s=take(1))
  each = [take(count) / count for _ in range(rounds)]
  learn(step_ms_least=1000 * min(each), step_ms_most=1000 * max(each))
  seconds = statistics.median(each)
  rate = config.train.batch_size / seconds
  flops = 3 * sum(layer.flops for layer in layer_table.layers(model, shape))
  held = device.memory_stats() or {}  # CPUs keep no count
  learn(
    step_ms=1000 * seconds,
    images_per_second=rate,
    tflops_per_second=rate * flops / 1e12,
    peak_gb=held.get('peak_bytes_in_use', 0) / 1e9,
  )
  for name, peak in PEAKS.items():
    if name in device.device_kind:
      learn(mfu_percent=100 * rate * flops / 1e12 / peak / jax.device_count())
  return found


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  config = own_step.plain(args.config, 'adamw') if args.plain else args.config
  loop.use_cores(config)
  check_config.check(config)
  check_config.refuse_tiles(config)
  json_file = workers.output_file(args.json)
  if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    compilation_cache.use()
  told = {}

  def tell(found):
    told.update(found)
    for name, value in found.items():
      shown = value if isinstance(value, str) else f'{value:,.1f}'
      print(f'{name:18} {shown}', flush=True)
    if json_file:
      files.write(json_file, json.dumps(told, indent=2) + '\n')

  tell({'ready_s': time.monotonic() - cli.STARTED})
  measure(config, args.steps, args.rounds, tell)


if __name__ == '__main__':
  cli.run(main)
