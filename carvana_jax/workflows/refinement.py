"""Trains a second network along the border of a first one's masks.

A network is surer of photos that it was trained on than of others. So the
second one may learn from other networks' probabilities of them, out of fold as
in stacked generalization (Wolpert 1992).
"""

import pathlib

from ml_collections import ConfigDict

from carvana_jax.configs import default
from carvana_jax.datasets import chosen_splits, folds, labels, prepare, spec
from carvana_jax.datasets.names import PROBABILITY_ENDING
from carvana_jax.inference import second_network
from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  check_config,
  loop,
  run_folder,
  saved_steps,
  trained_run,
)
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
  run: trained_run.Run,
  config: ConfigDict,
  workdir: pathlib.Path,
  given: pathlib.Path | None = None,
) -> None:
  """Trains a second network, or does what is left of that.

  Args:
    run: the first network.
    config: of the second network, see `config_of`.
    workdir: the first network's folder.
    given: where NAME_probability.png of the photos to train on are, or the
      folder of a run that makes them, if not the first network's own are to be
      learned from. `config.data.coarse` is then another folder than those have.

  Raises:
    Interrupted: training is not over, see `loop.train`.
    UserError: there is a second network for another first one, a photo has no
      probabilities among those given, or `loop.train` refuses to train.
  """
  # Before the probabilities of all photos, which take minutes.
  check_config.check(config)
  fine = second_network.folder_of(workdir)
  run_folder.refuse_other_config(config, fine)
  second_network.claim_for_first_network(workdir, run)
  builder = prepare.for_scoring(config.data)
  if given and saved_steps.exists(given):
    given = _save_probabilities(trained_run.load(given), builder, given)
  replaced = _given_files(builder, config, given) if given else []
  own = _save_probabilities(run, builder, workdir)
  if given:
    folder = pathlib.Path(config.data.coarse)
    processes.broadcast_result(lambda: _copy_all(own, replaced, folder))
  loop.train(config, fine)


def _save_probabilities(run, builder, workdir):
  """Writes those of all photos, unless they are there; returns the folder."""
  folder = second_network.probabilities_folder(workdir)
  out_of_fold.save_probabilities(
    run, builder, folds.select(builder, 'all'), folder / 'saved.npz'
  )
  return folder


def _given_files(builder, config, given):
  """Returns the files of the photos to train on, all of which must be there."""
  part = folds.select(builder, 'train', chosen_splits.of(config.data))
  names = labels.of(builder, part.split.split('+')).filename[part.positions]
  found = [given / f'{spec.stem_of(x)}{PROBABILITY_ENDING}' for x in names]
  missing = [path for path in found if not path.is_file()]
  if missing:
    raise UserError(
      f'{given} lacks {missing[0].name} and so on, {len(missing)} of the '
      f'{len(found)} photos to train on; give --probabilities a folder that '
      'has them all.'
    )
  return found


def _copy_all(own, replaced, folder):
  """Copies the first network's own files, but others in the place of some."""
  folder.mkdir(exist_ok=True)
  paths = [*own.glob(f'*{PROBABILITY_ENDING}'), *replaced]
  for name, path in {path.name: path for path in paths}.items():
    files.write(folder / name, path.read_bytes())
