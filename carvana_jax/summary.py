"""Prints the layers of a config's network.

    python -m carvana_jax.summary --config=configs/studio.py
    python -m carvana_jax.summary --config=configs/studio.py --picture=net.png

FLOPs are those of the convolutions for one image, a multiplication and an
addition counting as two; norms, poolings and activations are left out, being a
few per cent. The field is the receptive field of a layer's output, the side of
a square in pixels of the network's input, by the formula in
models/receptive_field.py. The last line counts, as Keras does, all parameters,
those of them that are trained, and the statistics of batch normalisation, which
are among the first. --picture draws the network.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_string(
    'picture', None, 'Draws the network into this file, .png or .svg.'
  )
  cli.parse()

import pathlib

from carvana_jax import models
from carvana_jax.datasets import network_size, prepare
from carvana_jax.models import layer_table
from carvana_jax.system import config_fields, files

_SIZE = '512x768'  # of own photos, where none are given


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  config = args.config
  picture = files.expand(args.picture) if args.picture else None
  if picture:
    # Matplotlib takes longer to import than the table to make.
    from carvana_jax.reporting import diagram

    diagram.check_file(picture)
  config_fields.check_fields(config)
  if _is_open(config.data):
    config.data.size = _SIZE
    print(f'at {_SIZE}, as no photos are named by config.data.manual_dir')
  network_size.settle(config.data)
  shape = prepare.input_shape(config.data)
  model = models.build(config.model)
  found = layer_table.layers(model, shape, config.train.freeze)
  print(layer_table.table(found))
  print(layer_table.totals(found))
  if picture:
    file = config_flags.get_config_filename(args['config'])
    title = f'{pathlib.Path(file).stem} at {config.data.size}'
    diagram.write(picture, diagram.draw(found, title, models.skips(model)))


def _is_open(data_config):
  """Whether the size is to follow from photos that are not there."""
  own = data_config.dataset == 'folder'
  return own and not (data_config.size or data_config.manual_dir)


if __name__ == '__main__':
  cli.run(main)
