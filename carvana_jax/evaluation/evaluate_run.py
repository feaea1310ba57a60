"""Scores a run on a split at full size and writes the results."""

import collections
import itertools
import json
import pathlib
import re
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets import chosen_splits, folds, names, prepare
from carvana_jax.datasets.folder import groups
from carvana_jax.evaluation import scoring
from carvana_jax.inference import networks
from carvana_jax.masks import cleaning, from_logits
from carvana_jax.metrics import bootstrap, error_bands, overlap, table
from carvana_jax.parallel import processes
from carvana_jax.system import files, names_in_messages
from carvana_jax.system.errors import UserError
from carvana_jax.training import run_folder, trained_run

# What images are grouped by, and the column of images.csv that tells it.
_GROUPS = {'view': 'view', 'make': 'make', 'colour': 'colour', 'body': 'body'}
_OWN_GROUPS = {'group': 'car_id', 'view': 'view', 'colour': 'colour'}


def evaluate(
  run: trained_run.Run,
  data_config,
  split: str,
  folder: pathlib.Path | None,
  changed_flip: bool | None = None,
) -> dict:
  """Scores one split, writes the results and prints their summary.

  To the test split, what the validation split's evaluation in the same folder
  found best is applied as well, if there is one: evaluate that split first.

  Args:
    run: a trained network.
    data_config: `config.data` of the data set to score on.
    split: train, validation, test, or all (every labelled image). What the
      first three hold follows from `data_config`, see `chosen_splits.of`.
    folder: in which `evaluation/` is, such as the run's workdir; None: the
      results are not written.
    changed_flip: the run's `config.eval.flip`, where that was changed for this
      evaluation, which then gets a folder of its own; None where it was not.

  Returns:
    The summary, as in summary.json.
  """
  splits = chosen_splits.of(data_config)
  builder = processes.run_in_all(lambda: _prepared(data_config, split))
  origin = prepare.identity(data_config, builder)
  if split != 'all':
    _refuse_moved(run, splits, data_config, origin)
  what = _identify(run, origin)
  results_of = lambda split: run_folder.evaluation_folder(
    folder, data_config.dataset, split, run.fine is not None, changed_flip
  )
  tuned = None
  if split == 'test' and folder:
    validation = results_of('validation')
    tuned = _broadcast_config(
      lambda: networks.tuned_by_evaluation(
        validation, run.config.eval, what, data_config
      )
    )
  part = folds.select(builder, split, splits)
  scored = scoring.score_images(run, builder, part, tuned)
  scored.sort(key=lambda one: one.row['dice'])
  rows = [one.row for one in scored]
  for name in {'colour', 'body'} & rows[0].keys():
    _agree_by_car(rows, name)
  level = from_logits.level_of(run.config.eval.threshold)
  best, best_dice = overlap.best_threshold(
    np.stack([x.dice_by_level for x in scored])
  )
  errors = error_bands.table([one.errors for one in scored])
  summary = {
    **_summarize(rows),
    **error_bands.near_and_far(errors),
    'size': prepare.full_size(data_config),
    'network_size': run.config.data.size,
    'threshold': from_logits.threshold_of(level),
    'cleaning': cleaning.configured_way(run.config.eval),
    **what,
    'dataset': builder.info.full_name,
    'data': str(builder.data_path),
    'split': split,
    'validation_folds': list(splits.validation_folds),
    **_facts_of_splits(splits, split, part, builder),
    'best_threshold': best,
    'best_threshold_dice_mean': best_dice,
  }
  if split == 'validation':
    summary |= _best_cleaning(run, builder, part, best)
  if tuned is not None:
    summary |= {
      'tuned_threshold': tuned.threshold,
      'tuned_cleaning': cleaning.configured_way(tuned),
      'tuned_dice_mean': float(np.mean([one.dice_tuned for one in scored])),
    }
  print(_text(summary))
  if folder:
    target = results_of(split)
    if processes.is_first():
      make_room(target, data_config, origin)
      _write(target, summary, rows, errors)
    print(f'written to {target}')
  return summary


def _prepared(data_config, split):
  """Returns the data set; to score all photos, they need not be split."""
  try:
    return prepare.for_scoring(data_config)
  except groups.UnclearError as error:
    if split != 'all':
      raise
    why = re.split('[:;] ', str(error))[0]
  if processes.is_first():
    print(f'all photos are scored as one split, as {why}', flush=True)
  data_config.groups = groups.UNSPLIT
  return prepare.for_scoring(data_config)


def _facts_of_splits(splits, split, part, builder):
  """What summary.json says of splits that a run has chosen."""
  if split == 'all' or not (splits.shares or splits.first):
    return {}
  return {
    'splits': splits.facts(),
    'splits_text': splits.text(builder.name),
    'leak': split != 'train' and len(part.others) > 0,
  }


def _refuse_moved(run, splits, data_config, origin):
  """Refuses photos of which some may be in other splits than in training."""
  there, here = prepare.source_of(run.data), prepare.source_of(origin)
  if splits.shares and not prepare.are_same(data_config, there, here):
    raise UserError(
      f'the run has split {there} by config.data.split_shares='
      f'{splits.shares}, and {here} holds other photos, of which any may have '
      'been trained on; give the same ones, or --split=all.'
    )


def _identify(run, origin):
  """Returns what tells an evaluation from others of the same split."""
  what = {
    'origin': origin,
    'source': prepare.source_of(origin),
    'network': run.digest(),
    'step': run.step,
    'flip': run.config.eval.flip,
  }
  return what | ({'fine_step': run.fine.step} if run.fine else {})


def _broadcast_config(function):
  """As `processes.broadcast_result`, of a config or None."""

  def as_dict():
    config = function()
    return config and config.to_dict()

  values = processes.broadcast_result(as_dict)
  return values and ConfigDict(values)


def _best_cleaning(run, builder, part, threshold):
  """What summary.json says of the cleaning with the highest mean Dice."""
  by_image = scoring.dice_by_cleaning(run, builder, part, threshold)
  dice = np.mean(by_image, axis=0)
  way = int(dice.argmax())  # of equally good ones the least
  return {
    'best_cleaning': list(cleaning.WAYS)[way],
    'best_cleaning_dice_mean': float(dice[way]),
  }


def choose_data(
  data_config: ConfigDict,
  dataset: str | None,
  manual_dir: str | None,
  options: dict[str, Any],
) -> None:
  """Changes which data a run is scored on.

  Args:
    data_config: `config.data` of the run, which is changed.
    dataset: the name of the data set; None: the run's own.
    manual_dir: the folder of its files; None: the run's own.
    options: the fields that say how a folder of own photos is read.

  Raises:
    UserError: the data set has no use for what is given.
  """
  if dataset:
    if dataset != data_config.dataset:  # the run has split its own
      chosen_splits.use_stored(data_config)
    data_config.dataset = dataset
    data_config.full_size = ''
  if manual_dir:
    if data_config.dataset == 'studio':
      raise UserError(
        '--manual_dir is of no use without --dataset=carvana or folder.'
      )
    data_config.manual_dir = manual_dir
  if options and not names.is_own(data_config.dataset):
    raise UserError(
      f'--{min(options)} is of no use without --dataset=folder; leave it out.'
    )
  data_config.update(options)


def make_room(
  target: pathlib.Path, data_config: ConfigDict, origin: str
) -> None:
  """Renames an evaluation of other images that would be overwritten.

  Args:
    target: the folder to be written to.
    data_config: `config.data` of the images.
    origin: the identity of the images, as in summary.json.
  """
  path = target / 'summary.json'
  if not path.exists():
    return
  before = files.read_json(path).get('origin')
  if not prepare.is_same(data_config, before, origin):
    numbered = (
      target.with_name(f'{target.name}.{n}') for n in itertools.count(1)
    )
    aside = next(path for path in numbered if not path.exists())
    target.rename(aside)
    print(f'the evaluation of other images is kept in {aside}')


def _agree_by_car(rows, name):
  """Gives all views of a car the value that most of them have, '' aside."""
  seen = collections.defaultdict(collections.Counter)
  for row in rows:
    seen[row['car_id']][row[name]] += row[name] != ''
  for row in rows:
    counts = seen[row['car_id']]
    # Of equally frequent ones the first by name, whatever the rows' order.
    most = min(counts, key=lambda value: (-counts[value], value))
    row[name] = most or 'unknown'


def _summarize(rows):
  """Means over the images, and what these hide."""
  dice = np.array([row['dice'] for row in rows])
  cars = [row['car_id'] for row in rows]
  worst = dice[: -(-len(dice) // 100)]  # rows are sorted
  return {
    'dice_mean': float(dice.mean()),
    'dice_interval': bootstrap.interval(dice, cars),
    'dice_median': float(np.median(dice)),
    'dice_worst_percent': float(worst.mean()),
    'dice_worst': float(dice.min()),
    **table.means(rows),
    'images': len(rows),
    'cars': len(set(cars)),
  }


def _write(target, summary, rows, errors):
  target.mkdir(parents=True, exist_ok=True)
  files.write(target / 'images.csv', files.csv_text(rows))
  groups = [
    group
    for by, column in _groupings(rows, summary['dataset']).items()
    for group in _grouped(rows, by, column)
  ]
  files.write(target / 'groups.csv', files.csv_text(groups))
  files.write(target / 'errors.csv', files.csv_text(errors))
  files.write(target / 'summary.json', json.dumps(summary, indent=2) + '\n')


def _groupings(rows, dataset):
  """The ways of grouping that make sense, with their columns."""
  if not names.is_own(dataset):
    return _GROUPS
  views = collections.defaultdict(list)
  for row in rows:
    views[row['car_id']].append(row['view'])
  chosen = dict(_OWN_GROUPS)
  if len(views) == len(rows):
    del chosen['group']
  # Views are comparable where all groups are turns of so many photos.
  turns = {tuple(sorted(own)) for own in views.values()}
  if len(turns) > 1 or len(views) in (1, len(rows)):
    del chosen['view']
  return chosen


def _grouped(rows, by, column):
  """Rows of groups.csv for one way of grouping, the worst group first."""
  members = {}
  for row in rows:
    members.setdefault(row[column], []).append(row)
  groups = [
    {
      'by': by,
      'group': group,
      'images': len(own),
      'cars': len({row['car_id'] for row in own}),
      'dice_mean': float(np.mean([row['dice'] for row in own])),
      'dice_worst': min(row['dice'] for row in own),
    }
    for group, own in members.items()
  ]
  return sorted(groups, key=lambda group: group['dice_mean'])


def _text(summary):
  """The summary in words, at most 80 columns wide."""
  low, high = summary['dice_interval']
  word = names.group_word(summary['dataset'])
  counted = names_in_messages.counted
  number = lambda name: f'{summary[name]:9.5f}'
  percent = lambda name: f'{100 * summary[name]:5.1f} %'
  lines = [
    f'{summary["dataset"]} {_split_in_words(summary)}: '
    f'{counted(summary["images"], "image")} of '
    f'{counted(summary["cars"], word)}',
    f'scored at {names.size_text(summary["size"])}, '
    f'network {summary["network_size"]}'
    f'{", flipped too" if summary["flip"] else ""}'
    f'{", second network on tiles" if "fine_step" in summary else ""}',
    *_lines_of_splits(summary),
    f'{"":10}{"mean":>9}{"median":>9}{"worst 1%":>9}{"worst":>9}'
    f'{f"95 % interval by {word}":>24}',
    f'{"Dice":10}{number("dice_mean")}{number("dice_median")}'
    f'{number("dice_worst_percent")}{number("dice_worst")}'
    f'{f"{low:.5f} to {high:.5f}":>24}',
    *table.lines(summary),
    f'{"wrong":10}{percent("wrong_within_4")} of the pixels within 4 pixels of '
    f'the border,{percent("wrong_beyond_16")} beyond 16',
  ]
  if 'tuned_dice_mean' in summary:
    lines.append(
      f'{"tuned":10}{number("tuned_dice_mean")}, threshold '
      f'{summary["tuned_threshold"]:.3f}, cleaning {summary["tuned_cleaning"]} '
      '(from validation)'
    )
  return '\n'.join(lines)


def _lines_of_splits(summary):
  """How a run has split its photos, if it has chosen that."""
  lines = []
  if 'splits_text' in summary:
    lines.append(f'split {summary["splits_text"]}')
  if summary.get('leak'):
    word = names.group_word(summary['dataset'])
    lines.append(
      f'other views of these {word}s are in other splits: scores are too high'
    )
  return lines


def _split_in_words(summary):
  """The split, and for validation its folds if they are not the usual ones."""
  chosen = summary['validation_folds']
  usual = chosen_splits.STORED.validation_folds
  if summary['split'] != 'validation' or tuple(chosen) == usual:
    return summary['split']
  return f'validation (folds {", ".join(map(str, chosen))})'
