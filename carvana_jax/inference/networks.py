"""The networks and settings that the commands predict with."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ml_collections import ConfigDict

from carvana_jax.datasets import names, prepare
from carvana_jax.inference import photos, second_network
from carvana_jax.masks import cleaning
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  crossval_folder,
  network_file,
  run_folder,
  trained_run,
)

T = TypeVar('T')

# The networks that come along, a link to weights/.
READY = pathlib.Path(__file__).parents[1] / 'weights' / 'carvana.safetensors'


class Networks(NamedTuple):
  """Networks whose logits are averaged, and how masks are made of the mean."""

  runs: list[trained_run.Run]
  masking: ConfigDict  # a `config.eval`, for its threshold and its cleaning

  @property
  def multiview(self) -> bool:
    """Whether one of the networks is given all views of a car together."""
    return any(run.config.data.multiview for run in self.runs)

  @property
  def compares_views(self) -> bool:
    """Whether the views of a car are better looked at together."""
    return any(run.compares_views for run in self.runs)

  def group(
    self, given: Sequence[T], file_of: Callable[[T], str] = str
  ) -> list[list[T]]:
    """Groups photos by cars where the networks want that, else one by one.

    Args:
      given: the photos in any form.
      file_of: as for `photos.group_by_car`, which also tells what is refused.
    """
    return photos.group_by_car(
      given, self.compares_views, file_of, self.grouping, self.multiview
    )

  @property
  def grouping(self) -> str | None:
    """How the names of photos tell the views, see `photos.group_by_car`."""
    comparing = [x.config.data for x in self.runs if x.compares_views]
    own = [x.groups for x in comparing if names.is_own(x.dataset)]
    return own[0] if own else None

  @property
  def word(self) -> str:
    """What they look for, see `names.object_word`."""
    return names.object_word(self.data_configs[0].dataset)

  @property
  def fine(self) -> bool:
    """Whether second networks look at tiles of the photos."""
    return any(run.fine for run in self.runs)

  @property
  def data_configs(self) -> list[ConfigDict]:
    """The `config.data` of each network."""
    return [run.config.data for run in self.runs]

  def identity(self) -> dict[str, Any]:
    """Returns what tells their masks from those of others, as for JSON."""
    return {
      'networks': [run.digest() for run in self.runs],
      'flip': [run.config.eval.flip for run in self.runs],
      'threshold': self.masking.threshold,
      'cleaning': cleaning.configured_way(self.masking),
    }


def load(
  workdirs: Sequence[str] | None, tuned: bool, fine: bool | None = None
) -> Networks:
  """Loads the best networks of one or more runs, from their workdirs alone.

  Args:
    workdirs: folders of runs, or of cross-validations for all of their runs,
      and files, see `network_file`. None: those that come along, `READY`.
    tuned: whether threshold and cleaning are those that were best on the
      validation split, and with a cross-validation those that were best on the
      photos out of fold, with flips or without; else they are the first run's
      `config.eval`.
    fine: whether each run's second network is used, too; None: that of `READY`
      alone.

  Returns:
    The networks, in the order of the folders.

  Raises:
    UserError: a folder holds no checkpoint, or what was best isn't known.
  """
  if not workdirs:
    workdirs, fine = [str(READY)], fine is not False
  folders = [files.absolute(x) for x in workdirs]
  if tuned and network_file.is_one(folders[0]):
    raise UserError(
      f'--tuned is of no use with {folders[0]}, whose threshold and cleaning '
      'are those that it was exported with; leave out --tuned.'
    )
  runs = [run for folder in folders for run in _runs(folder, fine)]
  if not tuned:
    return Networks(runs, runs[0].config.eval)
  if len(folders) > 1:
    raise UserError(
      '--tuned is of no use with several --workdir: their mean was not '
      'evaluated on validation images.'
    )
  if crossval_folder.is_crossval(folders[0]):
    summary = crossval_folder.read(folders[0])
    masking = tuned_config(
      crossval_folder.summary_path(folders[0]), summary, runs[0].config.eval
    )
    return Networks([run.with_flip(summary['flip']) for run in runs], masking)
  masking = validation_settings(folders[0], runs[0])
  if masking is None:
    raise UserError(
      f'{folders[0]} holds no evaluation of validation images with this '
      f'network; run python -m carvana_jax.evaluate --workdir={folders[0]} '
      f'--split=validation{" --fine" if fine else ""}, or leave out --tuned.'
    )
  return Networks(runs, masking)


def validation_settings(
  folder: pathlib.Path, run: trained_run.Run
) -> ConfigDict | None:
  """Returns what was best in the evaluation of a run's validation images.

  Args:
    folder: the run's folder.
    run: its network.

  Returns:
    `config.eval`, see `tuned_by_evaluation`; None where this network was not
    evaluated.
  """
  validation = run_folder.evaluation_folder(
    folder, run.config.data.dataset, 'validation', fine=run.fine is not None
  )
  same = {
    'network': run.digest(),
    'step': run.step,
    'flip': run.config.eval.flip,
    'fine_step': run.fine.step if run.fine else None,
    'source': prepare.source_of(run.data),
  }
  return tuned_by_evaluation(validation, run.config.eval, same, run.config.data)


def tuned_by_evaluation(
  validation: pathlib.Path,
  eval_config: ConfigDict,
  same: dict[str, Any],
  data_config: ConfigDict,
) -> ConfigDict | None:
  """Returns a `config.eval` with what was best on validation.

  Args:
    validation: the folder of the evaluation of the validation split.
    eval_config: `config.eval` of the run.
    same: the entries of its summary.json that must have these values; version
      0.1.0 did not write `network`. Of `origin` and `source` either may be an
      older name of the other, see `prepare.are_same`.
    data_config: `config.data` of the images.

  Returns:
    A copy with another threshold, fill_holes and keep_largest; None where there
    is no such evaluation.

  Raises:
    UserError: the evaluation is damaged.
  """
  path = validation / 'summary.json'
  if not path.exists():
    return None
  summary = {'network': same['network']} | files.read_json(path)
  for name, value in same.items():
    there = summary.get(name)
    is_data = name in ('origin', 'source')
    if there != value and not (
      is_data and prepare.are_same(data_config, there, value)
    ):
      return None
  return tuned_config(path, summary, eval_config)


def tuned_config(
  path: pathlib.Path, summary: dict[str, Any], eval_config: ConfigDict
) -> ConfigDict:
  """Returns a `config.eval` with a file's `best_threshold`, `best_cleaning`.

  Args:
    path: of the file, which is named if it is damaged.
    summary: what the file holds.
    eval_config: `config.eval` of the run; it is copied.

  Raises:
    UserError: the file does not tell what was best.
  """
  threshold, way = summary.get('best_threshold'), summary.get('best_cleaning')
  known = isinstance(threshold, float) and way in tuple(cleaning.WAYS)
  if not known or not 0 < threshold < 1:
    raise UserError(
      f'{path} does not tell what was best; evaluate the validation split '
      'again.'
    )
  chosen = ConfigDict(eval_config.to_dict())
  chosen.threshold = threshold
  chosen.fill_holes, chosen.keep_largest = cleaning.WAYS[way]
  return chosen


def _runs(folder, fine):
  """Loads the run in a folder, or those of a cross-validation."""
  if not crossval_folder.is_crossval(folder):
    run = trained_run.load(folder)
    return [second_network.with_second_network(folder, run) if fine else run]
  if fine:
    raise UserError(
      f'{folder} is a cross-validation, whose networks have no second ones; '
      'leave out --fine.'
    )
  summary = crossval_folder.read(folder)
  runs = [
    trained_run.load(x)
    for x in crossval_folder.run_folders(folder, summary['folds'])
  ]
  if summary['networks'] != [run.digest() for run in runs]:
    raise UserError(
      f'{folder} holds other networks than '
      f'{crossval_folder.summary_path(folder)} is of; give '
      'carvana_jax.crossval the same command again.'
    )
  return runs
