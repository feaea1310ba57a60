"""Your own photos and masks: the network of configs/fast.py, a hundred photos.

    bash run.sh --config=configs/folder.py --workdir=runs/mine \\
        --config.data.manual_dir=FOLDER \\
        --config.train.init_from=weights/carvana.safetensors

That network comes along, see weights/README.md; the folder of a run of
configs/fast.py will do, too. From one of 24 other cars at 256x384, 100 photos
of 10 real cars, 70 of them to train on, took 2 minutes 41 seconds in all on two
CPU cores and had 0.9889 Dice on the two cars of validation at the photos' own
size. To start from none, leave `init_from` out, and take the rate and more
epochs of configs/fast.py: --config.optimizer.learning_rate=1e-2
--config.train.epochs=30. The network's size follows from the photos' shape, and
photos of other shapes are padded.
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
  config.train.epochs = 8
  config.optimizer.learning_rate = 3e-3  # most is learned already
  return config
