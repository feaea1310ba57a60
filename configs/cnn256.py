"""System E's plain CNN at 256x256.

    bash run.sh --config=configs/cnn256.py --workdir=runs/cnn256 \\
        --config.data.manual_dir=FOLDER
"""

from ml_collections import ConfigDict

from carvana_jax.configs import default


def get_config():
  """371,073 parameters; Adam 1e-4, BCE, batch 16, 20 epochs, both flips."""
  config = default.get_config()
  config.data.size = '256x256'
  config.model = ConfigDict()
  config.model.name = 'cnn'
  config.model.widths = (64, 128, 256)
  config.model.kernels = (3, 3, 3)
  config.model.head_kernel = 1
  config.model.standardize = False  # by the training data's mean and std
  config.model.dtype = 'float32'
  config.augment.flip_up_down = True
  config.optimizer.name = 'adam'
  config.optimizer.learning_rate = 1e-4
  config.optimizer.schedule = 'constant'
  config.optimizer.clip_norm = 0.0
  config.train.loss = 'bce'
  config.train.epochs = 20
  config.train.average_decay = 0.0
  config.eval.smooth = 1.0  # in the figures at network size, as published
  return config
