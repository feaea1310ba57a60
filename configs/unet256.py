"""System E's U-Net at 256x256, to compare with its plain CNN.

    bash run.sh --config=configs/unet256.py --workdir=runs/unet256 \\
        --config.data.manual_dir=FOLDER --config.model.levels=4

Levels, convolutions a level and the first width are for the user to choose; the
lab names no values. Training is that of cnn256.
"""

from carvana_jax.configs import cnn256, default


def get_config():
  """1.9 M parameters with four levels from 32 channels on."""
  config = cnn256.get_config()
  config.model = default.get_config().model
  config.model.levels = 4
  config.model.first_width = 32
  config.model.norm = 'none'
  config.model.kernel_init = 'glorot_uniform'
  config.model.upsampling = 'transposed'
  return config
