"""System B at 128x128: a tiny U-Net without normalisation, three poolings.

    bash run.sh --config=configs/tiny_unet128.py --workdir=runs/tiny_unet128 \\
        --config.data.manual_dir=FOLDER

Published: test Dice 0.97677 at network size, after training on 190 cars. Its
author's augmentation, which under-fitted, and the cure he proposed:

    --config.augment.flip_left_right=True --config.augment.rotation=25
    --config.model.norm=batch

What the slides leave open is Keras's own: how kernels start, and the constants
of Adam and of batch normalisation.
"""

from carvana_jax.configs import default


def get_config():
  """120,965 parameters; Adam 1e-3, BCE, batch 16, 30 epochs."""
  config = default.get_config()
  config.data.size = '128x128'
  config.model.levels = 4
  config.model.first_width = 8
  config.model.norm = 'none'
  config.model.norm_momentum = 0.99
  config.model.norm_epsilon = 1e-3
  config.model.kernel_init = 'glorot_uniform'
  config.model.upsampling = 'nearest_conv'
  config.model.head_width = 2
  config.model.dropout = 0.2  # the slides don't give the rate
  config.model.dropout_levels = (2, 3)
  config.augment.flip_left_right = False
  config.optimizer.name = 'keras_adam'
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.optimizer.schedule = 'constant'
  config.optimizer.clip_norm = 0.0
  config.train.loss = 'bce'
  config.train.epochs = 30
  config.train.average_decay = 0.0
  return config
