"""System B at 512x512: four poolings, else as tiny_unet128.

    bash run.sh --config=configs/tiny_unet512.py --workdir=runs/tiny_unet512 \\
        --config.data.manual_dir=FOLDER

Published: test Dice 0.99391 at network size, after training on 190 cars.
"""

from carvana_jax.configs import tiny_unet128


def get_config():
  """485,957 parameters."""
  config = tiny_unet128.get_config()
  config.data.size = '512x512'
  config.model.levels = 5
  config.model.dropout_levels = (3, 4)
  return config
