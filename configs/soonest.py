"""A network for two CPU cores and a few dozen cars, meant for four minutes.

    bash run.sh --config=configs/soonest.py --workdir=runs/soonest \\
        --config.data.manual_dir=FOLDER

That of configs/fast.py without its lowest level, at a ninth of the pixels. What
runs so short gain nothing by is left out: changes of colour and shape, and
pictures before the first step. benchmarks/recipe.md says what was tried.
On 60 real cars, 49 of them to train on, Dice at full size on 6 test cars is
0.95 after 32 s from the command, nothing prepared, 0.985 after 142 s, and
0.9868 at the end (seed 0).
"""

from carvana_jax.configs import default


def get_config():
  """0.8 M parameters."""
  config = default.get_config()
  # Means of 8x7 whole pixels of 1280x1918, which take a third of the time of
  # means that share pixels.
  config.data.size = '160x274'
  config.model.levels = 4
  config.model.patch = 4
  config.model.widths = (32, 64, 96, 128)
  config.model.decoder_convs = 1
  config.model.conv_bias = False  # less to compile
  config.model.upsampling = 'projected'
  config.optimizer.name = 'muon'
  config.optimizer.learning_rate = 1e-2
  config.optimizer.warmup = 0.03
  config.train.batch_size = 4
  config.train.epochs = 12
  config.train.loss = 'border_bce_dice'
  config.train.picture_epochs = 0
  config.eval.flip = True
  return config
