"""A BatchNorm U-Net at 512x768 for accelerators, on all labelled photos.

    python -m carvana_jax.main --config=configs/unet512.py \\
        --workdir=runs/unet512 --config.data.manual_dir=FOLDER

With what configs/fast.py learned: Muon, the changes of pictures, weight near
the border, the mean with the mirrored photo, and a second network by `refine`,
see configs/fine.py; of Muon's rates tried there the lowest, as this network
is twenty times as large. On one H100 (benchmarks/README.md) it does 366
images/s in 9 GB, after 92 s for the very first step. Trained there on 19 real
cars, in 41 s, it reached a Dice at full size of 0.9947 on two others for
validation and 0.9958 on two for the test. On all cars, 9 minutes by these
figures, it was not yet trained. Published networks of this size reach 0.995.
"""

from carvana_jax.configs import default, fast


def get_config():
  """31 M parameters, six levels, bfloat16."""
  config = default.get_config()
  config.data.size = '512x768'
  config.model.levels = 6
  config.model.first_width = 32
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
