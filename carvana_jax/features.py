"""Draws what the layers of a network make of a photo.

    python -m carvana_jax.features --workdir=runs/a --image=photos/CAR_01.jpg \\
        --output=features

OUTPUT gets overview.png, with one tile per layer; for each layer NN_LAYER.png,
with one tile per channel, or for the 64 channels that vary most; and
saliency.png, which shows the pixels of the photo that the border of the mask
depends on. All are from the best checkpoint, at the network's size. A network
that compares the views of a car finds them beside the photo, CAR_01.jpg to
CAR_16.jpg.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  flags.DEFINE_string('image', None, 'The photo.', required=True)
  flags.DEFINE_string(
    'output',
    None,
    'Folder for the pictures; made if missing. None there is overwritten.',
    required=True,
  )
  cli.parse()

from carvana_jax.parallel import compilation_cache
from carvana_jax.reporting import feature_sheets
from carvana_jax.system import files
from carvana_jax.training import trained_run


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  photo, output, workdir = (
    files.absolute(path) for path in (args.image, args.output, args.workdir)
  )
  compilation_cache.use()
  paths = feature_sheets.write(trained_run.load(workdir), photo, output)
  print(f'{len(paths)} pictures are in {output}')


if __name__ == '__main__':
  cli.run(main)
