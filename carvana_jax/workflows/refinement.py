"""Trains a second network along the border of a first one's masks."""

import pathlib

from ml_collections import ConfigDict

from carvana_jax.configs import default
from carvana_jax.datasets import folds, prepare
from carvana_jax.inference import second_network
from carvana_jax.system.errors import UserError
from carvana_jax.training import check_config, loop, run_folder, trained_run
from carvana_jax.workflows import out_of_fold


def config_of(
  run: trained_run.Run, given: ConfigDict, folder: pathlib.Path
) -> ConfigDict:
  """Makes the config of a second network.

  Args:
    run: the first network.
    given: the config that was asked for.
    folder: where the first network's probabilities are.

  Returns:
    The given config with the first network's data, cut into tiles.

  Raises:
    UserError: the first network can't have a second one, or other data were
      asked for.
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
    if field in ('size', 'empty_studio') or moved:
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
  run: trained_run.Run, config: ConfigDict, workdir: pathlib.Path
) -> None:
  """Trains a second network, or does what is left of that.

  Args:
    run: the first network.
    config: of the second network, see `config_of`.
    workdir: the first network's folder.

  Raises:
    Interrupted: training is not over, see `loop.train`.
    UserError: there is a second network for another first one, or
      `loop.train` refuses to train.
  """
  # Before the probabilities of all photos, which take minutes.
  check_config.check(config)
  fine = second_network.folder_of(workdir)
  run_folder.refuse_other_config(config, fine)
  second_network.claim_for_first_network(workdir, run)
  builder = prepare.for_scoring(config.data)
  out_of_fold.save_probabilities(
    run,
    builder,
    folds.select(builder, 'all'),
    pathlib.Path(config.data.coarse, 'saved.npz'),
  )
  loop.train(config, fine)
