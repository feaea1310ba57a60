"""Is one run better than another, or only luckier with its cars?

    python -m carvana_jax.compare runs/a runs/b --split=test

Compares two evaluations of the same images, image by image. The interval is
from a bootstrap by car.
"""

import csv
import json
import pathlib

import numpy as np
from absl import flags

from carvana_jax import bootstrap, cli
from carvana_jax.errors import UserError
from carvana_jax.workdir import read_config

# With five cars, one run has all five on its side by chance in 1 of 16 cases.
_FEWEST_CARS = 6


def compare(
  first: dict[str, dict], second: dict[str, dict]
) -> dict[str, float | list[float] | int]:
  """Compares the Dice of two evaluations.

  Args:
    first: rows of images.csv by filename, with `dice` and `car_id`.
    second: the same images by another run.

  Returns:
    For each of `first` and `second` [mean, median, worst]; `difference`, the
    mean of second - first, and its 95 % `interval`; `cars`, `images`, and the
    share of images and of cars on which the second is better.
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


def read(workdir: pathlib.Path, evaluation: str) -> dict[str, dict]:
  """The rows of an evaluation's images.csv by filename.

  Raises:
    UserError: there is no such evaluation.
  """
  path = workdir / 'evaluation' / evaluation / 'images.csv'
  if not path.exists():
    dataset, _, split = evaluation.rpartition('-')
    raise UserError(
      f'{path} is missing; make it with python -m carvana_jax.evaluate '
      f'--workdir={workdir} --dataset={dataset} --split={split}'
    )
  with path.open(newline='') as file:
    return {row['filename']: row for row in csv.DictReader(file)}


def refuse_other_images(first: dict, second: dict) -> None:
  """Raises a `UserError` where two evaluations are not of the same images."""
  alone = first.keys() ^ second.keys()
  if alone:
    raise UserError(
      f'{min(alone)} was scored in one of the evaluations only '
      f'({len(alone)} such images); evaluate both on the same data.'
    )


def refuse_other_sizes(
  first: pathlib.Path, second: pathlib.Path, evaluation: str
) -> None:
  """Raises a `UserError` where two evaluations were taken at other sizes."""
  sizes = [
    json.loads(
      (folder / 'evaluation' / evaluation / 'summary.json').read_text()
    )['size']
    for folder in (first, second)
  ]
  if sizes[0] != sizes[1]:
    raise UserError(
      f'{first} was scored at {sizes[0]} and {second} at {sizes[1]}; evaluate '
      'both at one size.'
    )


def table(result: dict, names: tuple[str, str]) -> str:
  """The comparison in lines of at most 80 columns."""
  width = max(12, *(len(name) for name in names))
  row = f'{{:{width}}}' + '{:>10}' * 3
  number = lambda values: [f'{value:.5f}' for value in values]
  low, high = result['interval']
  if result['cars'] < _FEWEST_CARS:
    verdict = f'{result["cars"]} cars are too few to tell which is better.'
  elif low > 0 or high < 0:
    better = names[1] if low > 0 else names[0]
    verdict = f'{better} is better: the interval leaves out 0.'
  else:
    verdict = 'No difference is shown: the interval holds 0.'
  return '\n'.join(
    [
      row.format('Dice', 'mean', 'median', 'worst'),
      row.format(names[0], *number(result['first'])),
      row.format(names[1], *number(result['second'])),
      f'difference of the means {result["difference"]:+.5f}, 95 % interval by '
      f'car {low:+.5f} to {high:+.5f}',
      f'the second is better on {result["images_better"]:.0%} of '
      f'{result["images"]} images and {result["cars_better"]:.0%} of '
      f'{result["cars"]} cars',
      verdict,
    ]
  )


def main(first: str, second: str) -> None:
  """The command line."""
  args = flags.FLAGS
  folders = [
    pathlib.Path(name).expanduser().absolute() for name in (first, second)
  ]
  dataset = args.dataset or read_config(folders[0]).data.dataset
  rows = [read(folder, f'{dataset}-{args.split}') for folder in folders]
  refuse_other_images(*rows)
  refuse_other_sizes(*folders, f'{dataset}-{args.split}')
  names = (first[-40:], second[-40:])
  print(table(compare(*rows), names))


if __name__ == '__main__':
  flags.DEFINE_string(
    'dataset', None, "The evaluations' data set. Default: that of RUN_A."
  )
  flags.DEFINE_string('split', 'test', "The evaluations' split.")
  cli.run(main, words=('RUN_A', 'RUN_B'))
