"""System D: a wide BatchNorm U-Net at 128x128.

    bash run.sh --config=configs/bn_unet128.py --workdir=runs/bn_unet128 \\
        --config.data.manual_dir=FOLDER

Published: pixel accuracy 0.983. Loss, optimizer, batch size and epochs are not,
so they are those of tiny_unet128. Batch normalisation and the start of kernels
are Keras's.
"""

from carvana_jax.configs import default, tiny_unet128


def get_config():
  """34,540,737 parameters, 13,696 of them batch statistics."""
  config = tiny_unet128.get_config()
  config.model = default.get_config().model
  config.model.levels = 5
  config.model.first_width = 64
  config.model.decoder_convs = 3
  config.model.norm_momentum = 0.99
  config.model.norm_epsilon = 1e-3
  config.model.kernel_init = 'glorot_uniform'
  config.augment.flip_left_right = True
  config.augment.rotation = 8.0
  return config
