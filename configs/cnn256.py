"""System E's plain CNN at 256x256.

    bash run.sh --config=configs/cnn256.py --workdir=runs/cnn256 \\
        --config.data.manual_dir=FOLDER

The flips that the course adds at its end, with three times the photos an epoch;
here, each epoch flips at random, so three times the epochs see as many:

    --config.augment.flip_left_right=True --config.augment.flip_up_down=True
    --config.train.epochs=60
"""

from ml_collections import ConfigDict

from carvana_jax.configs import default


def get_config():
  """371,073 parameters; Adam 1e-4, BCE, batch 16, 20 epochs, no flips."""
  config = default.get_config()
  config.data.size = '256x256'
  config.model = ConfigDict()
  config.model.name = 'cnn'
  config.model.widths = (64, 128, 256)
  config.model.kernels = (3, 3, 3)
  config.model.head_kernel = 1
  config.model.standardize = False  # by the training data's mean and std
  config.model.kernel_init = 'glorot_uniform'  # as Keras's, and Adam's epsilon
  config.model.dtype = 'float32'
  config.augment.flip_left_right = False
  config.optimizer.name = 'keras_adam'
  config.optimizer.learning_rate = 1e-4
  config.optimizer.epsilon = 1e-7
  config.optimizer.schedule = 'constant'
  config.optimizer.clip_norm = 0.0
  config.train.loss = 'bce'
  config.train.epochs = 20
  config.train.average_decay = 0.0
  return config
