"""Your own photos and masks: the network of configs/fast.py, a hundred photos.

    bash run.sh --config=configs/folder.py --workdir=runs/mine \\
        --config.data.manual_dir=FOLDER --config.train.init_from=runs/fast

About three minutes on two CPU cores for a hundred photos, started from a
network that has seen other photos; without one, leave `init_from` out and take
more epochs, --config.train.epochs=30. The network's size follows from the
photos' shape, and photos of other shapes are padded.
"""

from carvana_jax.configs import fast


def get_config():
  """1.6 M parameters, at about as many pixels as 512x768."""
  config = fast.get_config()
  config.data.dataset = 'folder'
  config.data.size = ''
  config.data.fit = 'pad'
  # Of so few photos large batches would make too few steps.
  config.train.batch_size = 4
  config.train.epochs = 10
  return config
