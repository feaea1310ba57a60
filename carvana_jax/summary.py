"""Prints the layers of a config's network.

    python -m carvana_jax.summary --config=configs/studio.py
    python -m carvana_jax.summary --config=configs/studio.py --picture=net.png

FLOPs are those of the convolutions for one image, a multiplication and an
addition counting as two; norms, poolings and activations are left out, being a
few per cent. The last line counts, as Keras does, all parameters, those of them
that are trained, and the statistics of batch normalisation, which are among the
first. --picture draws the network.
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

import io
import pathlib

from carvana_jax import models
from carvana_jax.datasets import prepare
from carvana_jax.models import layer_table
from carvana_jax.system import config_fields, files
from carvana_jax.system.errors import UserError


def _check_picture(path):
  """Refuses a file that can't be written, before there is work to lose."""
  if path.suffix not in ('.png', '.svg'):
    raise UserError(f'--picture={path} must end in .png or .svg.')
  if not path.parent.is_dir():
    raise UserError(f'the folder {path.parent} does not exist; make it first.')
  if path.exists():
    raise UserError(f'{path} exists; choose another name.')


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  config = args.config
  picture = files.expand(args.picture) if args.picture else None
  if picture:
    _check_picture(picture)
  config_fields.check_fields(config)
  shape = prepare.input_shape(config.data)
  model = models.build(config.model)
  found = layer_table.layers(model, shape)
  print(layer_table.table(found))
  print(layer_table.totals(found))
  if picture:
    # Matplotlib takes longer to import than the table to make.
    from carvana_jax.reporting import diagram

    file = config_flags.get_config_filename(args['config'])
    title = f'{pathlib.Path(file).stem} at {config.data.size}'
    figure = diagram.draw(found, title, models.skips(model))
    stream = io.BytesIO()
    figure.savefig(stream, format=picture.suffix[1:])
    files.write(picture, stream.getvalue())


if __name__ == '__main__':
  cli.run(main)
