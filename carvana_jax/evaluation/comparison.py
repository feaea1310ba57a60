"""Compares two evaluations of the same images."""

import pathlib
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets import names as data_names
from carvana_jax.evaluation import results
from carvana_jax.metrics import bootstrap
from carvana_jax.system.errors import UserError
from carvana_jax.training import crossval_folder, network_file, run_folder

# With five cars, one run has all five on its side by chance in 1 of 16 cases.
_FEWEST_CARS = 6


def compare(
  first: dict[str, dict], second: dict[str, dict]
) -> dict[str, float | list[float] | int]:
  """Compares the Dice of two evaluations.

  Args:
    first: the rows of images.csv by filename, with `dice` and `car_id`.
    second: those of another evaluation of the same images.

  Returns:
    `first` and `second`, each [mean, median, worst]; `difference`, the mean of
    second - first, and its 95 % `interval`; the numbers of `images` and `cars`;
    `images_better` and `cars_better`, the shares on which the second is better,
    0..1.
  """
  names = sorted(first)
  cars = [first[name]['car_id'] for name in names]
  dice = [
    np.array([float(rows[name]['dice']) for name in names])
    for rows in (first, second)
  ]
  gain = dice[1] - dice[0]
  ids, car = np.unique(cars, return_inverse=True)
  return {
    'first': _summary(dice[0]),
    'second': _summary(dice[1]),
    'difference': float(gain.mean()),
    'interval': list(bootstrap.interval(gain, cars)),
    'images': len(names),
    'cars': len(ids),
    'images_better': float((gain > 0).mean()),
    'cars_better': float((np.bincount(car, gain) > 0).mean()),
  }


def _summary(dice):
  return [float(f(dice)) for f in (np.mean, np.median, np.min)]


def evaluation_folders(
  folders: Sequence[pathlib.Path], dataset: str | None, split: str | None
) -> list[pathlib.Path]:
  """Returns the folders of evaluations, given those or the runs' own.

  Args:
    folders: the folders of evaluations, or of runs.
    dataset: the name of the data set that the runs were scored on; None stands
      for the one that the first of them trained on.
    split: train, validation, test or all; None stands for test.

  Raises:
    UserError: a run was not scored on that, the data set is not known, either
      is given where no folder is that of a run, or one is a file of a network
      or an evaluation at the network's size.
  """
  evaluations = []
  if (dataset or split) and all((x / 'images.csv').exists() for x in folders):
    raise UserError(
      '--dataset and --split are of no use for folders of evaluations; leave '
      'them out or give the folder of a run.'
    )
  for folder in folders:
    if network_file.is_one(folder):
      raise UserError(
        f'{folder} has no evaluations beside it; give the folder of one, as '
        f'python -m carvana_jax.evaluate --workdir={folder} --output=FOLDER '
        'writes it.'
      )
    if run_folder.is_at_network_size(folder):
      raise UserError(
        f"{folder} has scores at the network's size, but none of each image; "
        'give an evaluation at full size.'
      )
    if not (folder / 'images.csv').exists():  # that of a run
      dataset = dataset or _dataset_of(folder)
      folder = _evaluation_of(folder, dataset, split or 'test')
    evaluations.append(folder)
  return evaluations


def _dataset_of(workdir):
  """The name of the data set that a run trained on."""
  data = run_folder.read_config(workdir).get('data')
  name = data.get('dataset') if isinstance(data, ConfigDict) else None
  if not isinstance(name, str):
    raise UserError(
      f'{workdir / "config.json"} names no data set; give --dataset.'
    )
  return name


def _evaluation_of(run, dataset, split):
  """The folder of a run's evaluation, which must be there."""
  folder = run_folder.evaluation_folder(run, dataset, split)
  path = folder / 'images.csv'
  if not path.exists():
    crossval_folder.refuse_crossval(run)
    raise UserError(
      f'{path} is missing; make it with python -m carvana_jax.evaluate '
      f'--workdir={run} --dataset={dataset} --split={split}'
    )
  return folder


def read(folder: pathlib.Path) -> tuple[dict[str, dict], dict]:
  """Reads an evaluation.

  Args:
    folder: the folder of the evaluation.

  Returns:
    The rows of images.csv by filename, and what summary.json holds.

  Raises:
    UserError: the evaluation is damaged.
  """
  path = folder / 'images.csv'
  listed = results.rows(path, ('filename', 'car_id'), ('dice',))
  rows = {row['filename']: row for row in listed}
  if not rows or len(rows) < len(listed):
    raise UserError(f'{path} has no rows, or two of one image; evaluate again.')
  needed = {'size': str, 'threshold': float}
  return rows, results.summary(path.with_name('summary.json'), needed)


def refuse_other_images(first: dict, second: dict) -> None:
  """Raises a `UserError` where two evaluations are not of the same images.

  Args:
    first: the rows of the first one's images.csv by filename.
    second: the rows of the other.
  """
  alone = first.keys() ^ second.keys()
  if alone:
    raise UserError(
      f'{min(alone)} was scored in one of the evaluations only '
      f'({len(alone)} such images); evaluate both on the same data.'
    )


def refuse_other_sizes(
  first: dict, second: dict, names: tuple[str, str]
) -> None:
  """Raises a `UserError` where two evaluations are of different sizes.

  Args:
    first: what the first one's summary.json holds.
    second: what that of the other holds.
    names: what the two are called in the message.
  """
  if first['size'] != second['size']:
    raise UserError(
      f'{names[0]} was scored at {first["size"]} and {names[1]} at '
      f'{second["size"]}; evaluate both at one size.'
    )


def table(
  result: dict, names: tuple[str, str], summaries: tuple[dict, dict]
) -> str:
  """Writes a comparison as text.

  Args:
    result: the comparison, from `compare`.
    names: what the two evaluations are called, at most 40 columns each.
    summaries: what their summary.json hold. Threshold, flip and cleaning are
      shown where the evaluations differ in one of them.

  Returns:
    Lines of at most 80 columns.
  """
  number = lambda values: [f'{value:.5f}' for value in values]
  rows = [
    ('Dice', 'mean', 'median', 'worst'),
    (names[0], *number(result['first'])),
    (names[1], *number(result['second'])),
  ]
  settings = [_settings(summary) for summary in summaries]
  if settings[0] != settings[1]:
    rows.append(('scored with', 'threshold', 'flip', 'cleaning'))
    rows += [(name, *x) for name, x in zip(names, settings, strict=True)]
  low, high = result['interval']
  word = data_names.group_word(summaries[0].get('dataset', ''))
  if result['cars'] < _FEWEST_CARS:
    verdict = f'{result["cars"]} {word}s are too few to tell which is better.'
  elif low > 0 or high < 0:
    better = names[1] if low > 0 else names[0]
    verdict = f'{better} is better: the interval leaves out 0.'
  else:
    verdict = 'No difference is shown: the interval holds 0.'
  return '\n'.join(
    [
      *_lines(rows),
      f'difference of the means {result["difference"]:+.5f}, 95 % interval by '
      f'{word} {low:+.5f} to {high:+.5f}',
      f'the second is better on {result["images_better"]:.0%} of '
      f'{result["images"]} images and {result["cars_better"]:.0%} of '
      f'{result["cars"]} {word}s',
      verdict,
    ]
  )


def _settings(summary):
  """The settings in which two evaluations may differ, in words."""
  # Evaluations older than these two fields did neither.
  flip = summary.get('flip', False)
  cleaning = summary.get('cleaning', 'none')
  return [f'{summary["threshold"]:.3f}', 'yes' if flip else 'no', cleaning]


def _lines(rows):
  """Aligns rows, each of a name and cells."""
  width = max(12, *(len(name) for name, *_ in rows))
  return [
    f'{name:{width}}' + ''.join(f' {cell:>12}' for cell in cells)
    for name, *cells in rows
  ]
