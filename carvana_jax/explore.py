"""Shows the photos of a data set before a network is trained on them.

    python -m carvana_jax.explore --dataset=studio
    python -m carvana_jax.explore --dataset=carvana --manual_dir=FOLDER
    python -m carvana_jax.explore --dataset=folder --manual_dir=FOLDER
    python -m carvana_jax.explore --config=configs/fast.py --manual_dir=FOLDER

The data are prepared unless they are. OUTPUT/explore.html, which needs no other
file, tells how many photos, cars and views each split has and what is
incomplete; shows cars with their masks, the views of one with their mean,
median, differences and empty studio, and photos as the config's augmentation
changes them; and has the cars' share of the frame, place and colour, and what
all of it takes in memory. The pictures are beside it as PNG; a later call
replaces them. Without --config, the data are those of configs/folder.py for
your own photos and of configs/default.py for others.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.datasets import names
from carvana_jax.system import cli, common_flags

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_enum(
    'dataset', None, list(names.FULL_SIZES), "Default: the config's."
  )
  flags.DEFINE_string(
    'manual_dir',
    None,
    'Folder of the Kaggle files, or of your own photos and masks.',
  )
  flags.DEFINE_string(
    'output',
    None,
    'Folder for page and pictures; made if missing. Default: explore/DATASET.',
  )
  flags.DEFINE_string(
    'car',
    None,
    'Id of the car, or name of the group, whose views are compared. Default: '
    'one of median size.',
  )
  common_flags.define_folder()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  cli.parse(needs_config=False)

from carvana_jax.configs import default, folder
from carvana_jax.evaluation import evaluate_run
from carvana_jax.parallel import compilation_cache
from carvana_jax.reporting import data_page
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  usual = folder if args.dataset == 'folder' else default
  config = args.config or usual.get_config()
  compilation_cache.use()
  evaluate_run.choose_data(
    config.data, args.dataset, args.manual_dir, common_flags.folder_options()
  )
  output = files.absolute(args.output or f'explore/{config.data.dataset}')
  try:
    paths, table, sentences = data_page.write(config, output, args.car)
  except UserError as error:
    raise UserError(common_flags.in_flags(str(error))) from error
  print(data_page.text(table, sentences))
  print(f'\n{paths[0]} and {len(paths) - 1} pictures beside it')


if __name__ == '__main__':
  cli.run(main)
