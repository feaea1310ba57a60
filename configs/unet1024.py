"""A BatchNorm U-Net at 1024x1536 for accelerators, on all labelled photos.

    python -m carvana_jax.main --config=configs/unet1024.py \\
        --workdir=runs/unet1024 --config.data.manual_dir=FOLDER

As configs/unet512.py, but 2x2 pixels become channels before the first level, so
that four times the pixels cost little more. On one H100 (benchmarks/README.md)
it does 301 images/s in 13 GB, after 105 s for the very first step. Trained
there on 49 real cars, in some two minutes of steps, it reached a Dice at full
size of 0.9958 on five others for validation and 0.9968 on six for the test.
"""

from carvana_jax.configs import default, fast


def get_config():
  """Six levels of 512x768 down to 16x24, bfloat16."""
  config = default.get_config()
  config.data.size = '1024x1536'
  config.model.levels = 6
  config.model.patch = 2
  config.model.widths = (64, 64, 128, 256, 512, 512)
  config.model.upsampling = 'projected'
  config.model.conv_bias = False
  config.model.dtype = 'bfloat16'
  config.augment = fast.get_config().augment
  config.train.batch_size = 16
  config.train.epochs = 40
  config.train.loss = 'border_bce_dice'
  config.train.average_decay = 0.998
  config.optimizer = fast.get_config().optimizer
  config.optimizer.learning_rate = 4e-3
  config.eval.flip = True
  return config
