"""A BatchNorm U-Net at 512x768 for accelerators, on all labelled photos.

    python -m carvana_jax.main --config=configs/unet512.py \\
        --workdir=runs/unet512 --config.data.manual_dir=FOLDER

The recipe follows the challenge's best networks as far as it exists here:
soft masks, BCE + Dice, one-cycle AdamW, flips, a moving average of the
variables. It was not yet run to its end on an accelerator, so no score is
promised; published networks of this size reach 0.995 at full size.
"""

from configs import default


def get_config():
  """31 M parameters, six levels, bfloat16."""
  config = default.get_config()
  config.data.size = '512x768'
  config.model.levels = 6
  config.model.first_width = 32
  config.model.dtype = 'bfloat16'
  config.train.batch_size = 16
  config.train.epochs = 40
  config.train.average_decay = 0.998
  config.optimizer.learning_rate = 2e-3
  return config
