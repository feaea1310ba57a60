"""Trains the network of a config, then scores it on validation and test.

    python -m carvana_jax.main --config=configs/studio.py
    python -m carvana_jax.main --config=configs/unet512.py \\
        --workdir=runs/unet512 --config.data.manual_dir=FOLDER

The same command, given again, goes on from the latest checkpoint.
Any field of configs/default.py can be set: --config.train.epochs=5
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, common_flags, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_string(
    'workdir',
    None,
    'Where the run is kept. Default: runs/<name of the config>.',
  )
  flags.DEFINE_integer(
    'profile',
    0,
    'Trace so many training steps to WORKDIR/profile, for xprof or Perfetto.',
    lower_bound=0,
  )
  common_flags.define_run_processes()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  cli.parse()
  malloc.keep_freed()

import pathlib

from carvana_jax.evaluation import evaluate_run
from carvana_jax.parallel import compilation_cache, launch, processes
from carvana_jax.system import files
from carvana_jax.training import (
  check_config,
  crossval_folder,
  loop,
  trained_run,
)


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  file = config_flags.get_config_filename(args['config'])
  workdir = files.absolute(args.workdir or f'runs/{pathlib.Path(file).stem}')
  check_config.refuse_tiles(args.config)
  crossval_folder.refuse_crossval(workdir)
  with launch.connect(
    lambda: loop.use_cores(args.config),
    args.coordinator,
    args.num_processes,
    args.process_id,
  ):
    compilation_cache.use()
    processes.run_in_all(
      lambda: check_config.refuse_unused_source(args.config, [workdir])
    )
    loop.train(args.config, workdir, args.profile)
    run = trained_run.load(workdir)
    # The data may have moved since that network was saved.
    for split in ('validation', 'test'):
      evaluate_run.evaluate(run, args.config.data, split, workdir)


if __name__ == '__main__':
  cli.run(main)
