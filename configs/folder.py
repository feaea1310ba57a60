"""Your own photos and masks: configs/fast.py, for a hundred photos.

    bash run.sh --config=configs/folder.py --workdir=runs/mine \\
        --config.data.manual_dir=FOLDER --config.train.init_from=runs/fast

FOLDER holds photos and masks; `data/folder/` finds out how. The network's size
follows from the photos' shape; photos of other shapes are padded.
"""

from carvana_jax.configs import fast


def get_config():
  """The network of configs/fast.py at a size that suits the photos."""
  config = fast.get_config()
  config.data.dataset = 'folder'
  config.data.size = ''
  config.data.fit = 'pad'
  config.train.batch_size = 4
  config.train.epochs = 10
  return config
