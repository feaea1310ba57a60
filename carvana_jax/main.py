"""Trains the network of a config, then scores it on the test split.

    python -m carvana_jax.main --config=configs/studio.py
    python -m carvana_jax.main --config=configs/unet512.py \\
        --workdir=runs/unet512 --config.data.manual_dir=FOLDER

Started again with the same config, it goes on from the latest checkpoint.
Any field of configs/default.py can be set: --config.train.epochs=5
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from carvana_jax import cli, distributed

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'A file of configs/.', lock_config=True
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Where the run is kept. Default: runs/<name of the config>.'
)


def main() -> None:
  """Trains, then evaluates."""
  file = config_flags.get_config_filename(flags.FLAGS['config'])
  workdir = pathlib.Path(_WORKDIR.value or f'runs/{pathlib.Path(file).stem}')
  workdir = workdir.expanduser().absolute()
  with distributed.joined():
    # Heavy imports wait until flags are known to be right.
    from carvana_jax import checkpoint, evaluate, train

    if not train.train(_CONFIG.value, workdir):
      print('interrupted and saved; the same command goes on from here')
      return
    run = checkpoint.load(workdir)
    # The data may have moved since that network was saved.
    for split in ('validation', 'test'):
      evaluate.evaluate(run, _CONFIG.value.data, split, workdir)


if __name__ == '__main__':
  distributed.define_flags()
  cli.run(main)
