"""System C: a small CNN at 100x100 that is shown what differs between views.

    bash run.sh --config=configs/median_cnn100.py \\
        --workdir=runs/median_cnn100 --config.data.manual_dir=FOLDER

Photos are cut to the car by their difference from the mean over the car's 16
views; the difference from the median gives three more channels. Published:
validation Dice 0.9518 at network size, 0.972 on the leaderboard with holes
filled, after training on 2500 images.
"""

from carvana_jax.configs import cnn256


def get_config():
  """23,249 parameters; Adam 1e-3, BCE, batch 32, 40 epochs, no augmentation."""
  config = cnn256.get_config()
  config.data.size = '100x100'
  config.data.multiview = True
  config.model.widths = (16, 32)
  config.model.kernels = (10, 5)
  config.model.head_kernel = 5
  config.model.standardize = True
  config.optimizer.learning_rate = 1e-3
  config.train.batch_size = 32
  config.train.epochs = 40
  config.eval.fill_holes = True
  return config
