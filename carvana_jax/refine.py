"""Trains a second network that looks at the border of the first one's masks.

    python -m carvana_jax.refine --config=configs/fine.py --workdir=runs/fast
    python -m carvana_jax.predict --workdir=runs/fast --fine --input=photos \\
        --output=masks

Coarse to fine: the first network sees the whole photo, but reduced. The second
one sees tiles of the photo as it is, where the first is in doubt, and what that
said of them. WORKDIR/coarse gets the first one's probabilities of all labelled
photos, from which the tiles follow, and WORKDIR/fine is the run of the second
one, an ordinary run. Both are then scored together on the validation and the
test split: WORKDIR/evaluation/DATASET-SPLIT-fine.

Of the config's data only the size of the tiles is the second network's own; all
else is as in the first run, but manual_dir and data_dir may be given if these
have moved. Started again with the same command, it goes on where it was.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file(
    'config', None, 'A file of configs/.', lock_config=True
  )
  flags.DEFINE_string(
    'workdir', None, 'Folder of the first run.', required=True
  )
  cli.parse()
  malloc.keep_freed()

import pathlib

from ml_collections import ConfigDict

from carvana_jax import evaluate
from carvana_jax.datasets import folds, prepare
from carvana_jax.inference import second_network
from carvana_jax.parallel import compilation_cache
from carvana_jax.system.errors import UserError
from carvana_jax.training import check_config, checkpoint, loop
from carvana_jax.training import run_folder as run_folder
from carvana_jax.workflows import out_of_fold
from configs import default


def config_of(
  run: checkpoint.Run, given: ConfigDict, folder: pathlib.Path
) -> ConfigDict:
  """The config of a second network.

  Args:
    run: the first one.
    given: the config that was asked for.
    folder: of the first one's probabilities.

  Raises:
    UserError: the first one can't have a second, or other data were asked for.
  """
  if run.config.data.multiview or run.config.data.coarse:
    raise UserError(
      'a network that is given crops or tiles can have no second one; choose '
      'another --workdir.'
    )
  config = given.copy_and_resolve_references()
  config.data = run.config.data.copy_and_resolve_references()
  usual = default.get_config().data
  for field, value in given.data.items():
    moved = field in ('manual_dir', 'data_dir') and value != usual[field]
    if field == 'size' or moved:
      config.data[field] = value
    elif value not in (usual[field], config.data[field]):
      raise UserError(
        f"config.data.{field}={value!r} is not the first run's, "
        f'{config.data[field]!r}; leave it out.'
      )
  config.data.coarse = str(folder)
  config.data.pseudo_labels = ''
  return config


def refine(
  run: checkpoint.Run, config: ConfigDict, workdir: pathlib.Path
) -> bool:
  """Trains, or does what of it is left to do.

  Args:
    run: the first network.
    config: of the second one, see `config_of`.
    workdir: of the first one.

  Returns:
    Whether training is over.

  Raises:
    UserError: there is a second network of another first one, or as of
      `train.train`.
  """
  # Before the probabilities of all photos, which take minutes.
  check_config.check(config)
  fine = second_network.folder(workdir)
  run_folder.refuse_other_config(config, fine)
  second_network.record(workdir, run)
  builder = prepare.for_scoring(config.data)
  out_of_fold.save_probabilities(
    run,
    builder,
    folds.part(builder, 'all'),
    pathlib.Path(config.data.coarse, 'saved.npz'),
  )
  return loop.train(config, fine)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  workdir = pathlib.Path(args.workdir).expanduser().absolute()
  loop.use_cores(args.config)
  compilation_cache.use()
  run = checkpoint.load(workdir)
  config = config_of(run, args.config, second_network.coarse(workdir))
  if not refine(run, config, workdir):
    print('interrupted and saved; the same command goes on from here')
    return
  run = second_network.joined(workdir, run)
  for split in ('validation', 'test'):
    evaluate.evaluate(run, config.data, split, workdir)


if __name__ == '__main__':
  cli.run(main)
