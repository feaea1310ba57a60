"""A BatchNorm U-Net at 512x768 for accelerators, on all labelled photos.

    python -m carvana_jax.main --config=configs/unet512.py \\
        --workdir=runs/unet512 --config.data.manual_dir=FOLDER

With what configs/fast.py learned: Muon, the changes of pictures, weight near
the border, the mean with the mirrored photo, and a second network by `refine`,
see configs/fine.py; of Muon's rates tried there the lowest, as this network
is twenty times as large. Expected on one H100, by arithmetic only
(benchmarks/README.md): 370 images/s, 8 minutes of steps, 9 GB for a batch of
16. On one, its first step was still being compiled after 75 s, when the time
was over; it was not yet run to its end, so no score is promised. Published
networks of this size reach 0.995 at full size.
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
