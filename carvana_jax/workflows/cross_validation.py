"""Trains a network a fold, and chooses on photos of cars that it never saw."""

import functools
import io
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import (
  chosen_splits,
  folds,
  names,
  prepare,
  pseudo_labels,
  reading,
  spec,
)
from carvana_jax.evaluation import evaluate_run
from carvana_jax.inference import (
  networks,
  output_folder,
  outputs,
  photos,
  predict_photos,
)
from carvana_jax.masks import cleaning
from carvana_jax.system import files, stamps
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  check_config,
  crossval_folder,
  initial_network,
  loop,
  run_folder,
  saved_steps,
  trained_run,
)
from carvana_jax.workflows import ensemble_scores, out_of_fold


def prepare_stage(
  config: ConfigDict, folder: pathlib.Path, count: int
) -> list[ConfigDict]:
  """Prepares the data, if need be, and refuses what would fail late.

  Args:
    config: of every run, but for `data.validation_folds`.
    folder: for the results.
    count: of folds.

  Returns:
    The configs of the runs, which differ in `data.validation_folds`.

  Raises:
    UserError: the config can't be run, a fold would have no car, or the folder
      holds something else, such as runs of another config.
  """
  check_config.check(config)
  check_config.refuse_tiles(config)
  usual = chosen_splits.STORED
  if tuple(config.data.validation_folds) != usual.validation_folds:
    raise UserError(
      f'config.data.validation_folds={tuple(config.data.validation_folds)} '
      'is set by --folds; leave it out.'
    )
  if chosen_splits.of(config.data) != usual:
    raise UserError(
      f'crossval splits all {names.group_word(config.data.dataset)}s by '
      '--folds; leave out config.data.split_shares and config.data.first.'
    )
  files.check_folder(folder, '--workdir')
  if (folder / 'config.json').exists():
    raise UserError(
      f'{folder} holds a run of its own; choose another --workdir.'
    )
  folders = crossval_folder.run_folders(folder, count)
  begun = any(map(saved_steps.exists, folders))
  source = initial_network.load(config, begun)
  builder = prepare.for_network(config.data)
  present = folds.folds_with_cars(builder)
  configs = []
  groups = group_folds(count, present, names.group_word(config.data.dataset))
  for group, place in zip(groups, folders, strict=True):
    own = config.copy_and_resolve_references()
    own.data.validation_folds = group
    run_folder.refuse_other_config(own, place)
    if source:
      identity = prepare.identity(config.data, builder)
      initial_network.refuse_seen(source, own, identity)
    configs.append(own)
  return configs


def group_folds(
  count: int, present: Sequence[int], word: str = 'car'
) -> list[tuple[int, ...]]:
  """Shares the cars' folds among the runs that validate on them.

  Args:
    count: how many runs there are, 2 to 9.
    present: the cars' folds that have a car, see `folds.folds_with_cars`.
    word: what the message calls a car.

  Returns:
    The `config.data.validation_folds` of run 1 to `count`.

  Raises:
    UserError: a run would validate on no car.
  """
  groups = [
    tuple(range(start, spec.FOLDS, count)) for start in range(1, count + 1)
  ]
  for number, group in enumerate(groups, 1):
    if not set(group) & set(present):
      fewer = 'choose fewer folds or ' if count > 2 else ''
      raise UserError(
        f'--folds={count}: no {word} is in fold {number}, which follows from '
        f"the {word}s' ids; {fewer}add {word}s to the folder."
      )
  return groups


def finish_stage(
  configs: Sequence[ConfigDict], folder: pathlib.Path, save_probabilities: bool
) -> dict:
  """Trains, chooses and scores, or does what is left of that.

  Args:
    configs: of the runs, as returned by `prepare_stage`.
    folder: for the results.
    save_probabilities: whether to write those of the photos out of fold.

  Returns:
    What crossval.json holds.

  Raises:
    Interrupted: training is not over, see `loop.train`.
  """
  runs = []
  workdirs = crossval_folder.run_folders(folder, len(configs))
  for config, workdir in zip(configs, workdirs, strict=True):
    print(f'\n{workdir.name} of {len(configs)}', flush=True)
    loop.train(config, workdir)
    run = trained_run.load(workdir)
    if networks.validation_settings(workdir, run) is None:
      evaluate_run.evaluate(run, config.data, 'validation', workdir)
    runs.append(run)
  builder = prepare.for_scoring(configs[0].data)
  choice, rows = _choose(
    runs, configs, builder, folder / 'out_of_fold', save_probabilities
  )
  part = folds.select(builder, 'test')
  place = folder / 'ensemble' / 'test.npz'
  scores = ensemble_scores.measure_ensemble(runs, choice, builder, part, place)
  summary = {
    'folds': len(runs),
    'validation_folds': [x.data.validation_folds for x in configs],
    'networks': [run.digest() for run in runs],
    'flip': choice.flip,
    'best_threshold': choice.threshold,
    'best_cleaning': choice.cleaning,
    'dataset': builder.info.full_name,
    'size': prepare.full_size(configs[0].data),
    'out_of_fold': ensemble_scores.gains_out_of_fold(rows, choice),
    'test': ensemble_scores.gains_on_test(scores, choice),
  }
  crossval_folder.write(folder, summary)
  return summary


def label_photos(
  nets: networks.Networks,
  builder: tfds.core.DatasetBuilder,
  data_config: ConfigDict,
  output: pathlib.Path,
) -> None:
  """Writes probabilities of a data set's unlabeled photos, as `predict` does.

  Args:
    nets: the networks.
    builder: the prepared data set of the full size.
    data_config: `config.data` of the data set.
    output: a folder; what is there already is kept.

  Raises:
    UserError: the folder holds results of other networks or data.
  """
  source = reading.undecoded_examples(builder, pseudo_labels.SPLIT)
  info = pathlib.Path(builder.data_path, 'dataset_info.json')
  stamp = functools.partial(stamps.of_path, info)

  def as_photo(position, row):
    name = row['filename'].decode()
    open_ = lambda: io.BytesIO(source[position]['image'])
    return photos.Photo(name, f'{builder.data_path}: {name}', open_, stamp)

  unlabeled = [as_photo(*pair) for pair in enumerate(source)]
  cars = nets.group(unlabeled, lambda x: x.file)
  data = _claimed_data(output, data_config, builder)
  output_folder.claim(output, nets.identity() | {'data': data})
  wanted = outputs.Wanted(probability=True)
  predict_photos.predict(nets, cars, output, wanted, strict=True)


def _claimed_data(output, data_config, builder):
  """Returns the data's identity, in older words where a folder has these."""
  now = prepare.identity(data_config, builder)
  path = output / 'settings.json'
  before = files.read_json(path).get('data') if path.exists() else None
  return before if prepare.is_same(data_config, before, now) else now


def crossval(
  config: ConfigDict,
  folder: pathlib.Path,
  count: int,
  labelled: bool,
  save_probabilities: bool,
) -> list[dict]:
  """Cross-validates, or does what is left of that.

  Args:
    config: of every run.
    folder: for all results.
    count: of folds.
    labelled: whether there is a second stage, with pseudo-labels.
    save_probabilities: whether to write those of the photos out of fold.

  Returns:
    What the crossval.json of each stage holds.

  Raises:
    Interrupted: training is not over, see `loop.train`.
    UserError: a stage can't be trained, see `prepare_stage`.
  """
  check_config.refuse_unused_source(
    config, crossval_folder.run_folders(folder, count)
  )
  stages = {folder: prepare_stage(config, folder, count)}
  output = folder / 'pseudo_labels'
  if labelled:
    config = config.copy_and_resolve_references()
    config.data.pseudo_labels = str(output)
    second = folder / 'stage2'
    stages[second] = prepare_stage(config, second, count)
    pseudo_labels.refuse_none(prepare.for_scoring(config.data))
  results = []
  for place, configs in stages.items():
    if results:
      builder = prepare.for_scoring(config.data)
      nets = networks.load([str(folder)], tuned=True)
      label_photos(nets, builder, config.data, output)
    results.append(finish_stage(configs, place, save_probabilities))
  return results


def results_text(results: Sequence[dict]) -> str:
  """Returns what the stages reach, as lines of at most 80 columns.

  Args:
    results: what the crossval.json of each stage holds, see `crossval`.
  """
  titles = ('', '; stage 2, with pseudo-labels')
  return '\n'.join(
    f'\n{stage["dataset"]}, {stage["folds"]} folds, scored at '
    f'{names.size_text(stage["size"])}{title}\n{ensemble_scores.gains_table(stage)}'
    for title, stage in zip(titles, results, strict=False)
  )


def _choose(runs, configs, builder, place, save_probabilities):
  """Returns the choice and the rows of images.csv, which it writes."""
  parts = [
    folds.select(builder, 'validation', chosen_splits.of(config.data))
    for config in configs
  ]
  numbered = list(enumerate(zip(runs, parts, strict=True), 1))
  scores = [
    out_of_fold.measure_dice(run, builder, part, place / f'dice_{number}.npz')
    for number, (run, part) in numbered
  ]
  flip, threshold = out_of_fold.best_flip(scores)
  by_way = np.concatenate([
    out_of_fold.measure_cleaning(
      run.with_flip(flip), builder, part, threshold,
      place / f'cleaning_{number}.npz',
    )
    for number, (run, part) in numbered
  ])  # fmt: skip
  way = int(by_way.mean(0).argmax())  # of equally good ones the least
  choice = out_of_fold.Choice(flip, threshold, list(cleaning.WAYS)[way])
  rows = out_of_fold.rows(scores, threshold, by_way[:, way])
  files.write(place / 'images.csv', files.csv_text(rows))
  if save_probabilities:
    for number, (run, part) in numbered:
      out_of_fold.save_probabilities(
        run.with_flip(flip), builder, part, place / f'saved_{number}.npz'
      )
  return choice, rows
