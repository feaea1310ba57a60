"""Everything that a run does, in seconds: for tests and for trying a change.

    bash run.sh --config=configs/debug.py --workdir=runs/debug

The score means nothing.
"""

from carvana_jax.configs import default


def get_config():
  """A three-level U-Net on tiny rendered photos, two epochs."""
  config = default.get_config()
  config.data.dataset = 'studio'
  config.data.size = '64x96'
  config.data.full_size = '64x96'
  config.model.levels = 3
  config.model.first_width = 4
  config.train.epochs = 2
  config.train.picture_epochs = 1
  return config
