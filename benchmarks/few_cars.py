"""Measures how many labelled cars are needed, and what starts them best.

    python -m benchmarks.few_cars --manual_dir=FOLDER --output=few_cars \\
        --plot=docs/few_cars.png

The network of configs/fast.py at 256x384 is trained on 2, 5, 10, 20 and 49
cars, each with as many steps: from scratch, from a network that has seen the
rendered studio only, and from one that was trained on 24 other real cars. Those
are none of the first 25, so with 49 cars there is no such row. Dice is taken at
full size, on the cars of the splits validation and test, which are the same for
all. OUTPUT keeps runs and data, and what is there is not done again.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('manual_dir', None, 'Kaggle-style folder.', required=True)
  flags.DEFINE_string('output', 'few_cars', 'Folder of all runs.')
  flags.DEFINE_string('plot', None, 'PNG with a curve for each start.')
  flags.DEFINE_list('cars', ['2', '5', '10', '20', '49'], 'To train on.')
  flags.DEFINE_integer('steps', 400, 'Of each run.', lower_bound=1)
  flags.DEFINE_integer('base_steps', 800, 'Of what runs start from.')
  flags.DEFINE_float('rate', 3e-3, 'Learning rate of runs that start trained.')
  flags.DEFINE_string('size', '256x384', 'That the network sees.')
  cli.parse()

import hashlib
import io
import pathlib
import shlex
import subprocess
import sys

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import input, workers
from carvana_jax.datasets import spec
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

_BATCH, _VIEWS = 8, 16
_OTHERS = 24  # cars of the network that has seen real ones
_EPOCH = 20  # cars of an epoch; fewer are there several times, by other names
STARTS = ('scratch', 'studio', 'other cars')
_UNSEEN = ('validation', 'test')
_ROW = '{:>6}' + '{:>24}' * len(STARTS)


def split(folder: pathlib.Path) -> dict[str, list[str]]:
  """Returns the cars of each split, in an order that their ids give."""
  found = sorted({x.name[:12] for x in (folder / 'train').glob('*.jpg')})
  found.sort(key=lambda car: hashlib.sha256(car.encode()).hexdigest())
  return {
    name: [car for car in found if spec.split_of(car) == name]
    for name in ('train', *_UNSEEN)
  }


def link(folder: pathlib.Path, names: dict[str, str], target: pathlib.Path):
  """Makes a Kaggle-style folder of links.

  Args:
    folder: holds `train` and `train_masks`.
    names: the cars in it, by the names that they are to have.
    target: the folder to make; what is there stays.
  """
  for kind in ('train', 'train_masks'):
    (target / kind).mkdir(parents=True, exist_ok=True)
    for new, car in names.items():
      for file in (folder / kind).glob(f'{car}_*'):
        place = target / kind / file.name.replace(car, new)
        if not place.is_symlink():
          place.symlink_to(file.resolve())


def repeated(cars: list[str]) -> dict[str, str]:
  """Returns the cars by names that are in the split train, `_EPOCH` or more."""
  names = {}
  for turn in range(max(1, _EPOCH // len(cars))):
    for car in cars:
      new, number = car, 0
      while turn and (spec.split_of(new) != 'train' or new in names):
        number += 1
        text = f'{car} {turn} {number}'
        new = hashlib.sha256(text.encode()).hexdigest()[:12]
      names[new] = car
  return names


def train(workdir: pathlib.Path, cars: int, steps: int, *more: str) -> None:
  """Trains a network, unless it has been scored already.

  Args:
    workdir: the folder of the run.
    cars: of an epoch.
    steps: of the run, as far as whole epochs allow.
    *more: flags.
  """
  if list(workdir.glob('evaluation/*-test/summary.json')):
    return
  epochs = max(1, round(steps * _BATCH / (cars * _VIEWS)))
  words = [
    sys.executable, '-m', 'carvana_jax.main', '--config=configs/fast.py',
    f'--workdir={workdir}', f'--config.train.epochs={epochs}',
    f'--config.train.batch_size={_BATCH}', *more,
  ]  # fmt: skip
  print(shlex.join(words), file=sys.stderr, flush=True)
  if subprocess.run(words, cwd=workers.ROOT, stdout=sys.stderr).returncode:
    raise UserError(f'{shlex.join(words)} failed; see above.')


def scores(workdir: pathlib.Path) -> dict[str, float] | None:
  """Returns mean Dice at full size by split; None where a run is missing."""
  paths = [
    workdir / f'evaluation/carvana-{name}/summary.json' for name in _UNSEEN
  ]
  if not all(path.exists() for path in paths):
    return None
  found = [files.read_json(path)['dice_mean'] for path in paths]
  return dict(zip(_UNSEEN, found, strict=True))


def run_all(args, output: pathlib.Path) -> None:
  """Trains what is missing."""
  folder = input.unpacked(args.manual_dir)
  by_split = split(folder)
  unseen = {car: car for name in _UNSEEN for car in by_split[name]}
  common = (
    f'--config.data.size={args.size}',
    (f'--config.data.data_dir={output / "data"}'),
  )

  def on_cars(name, names, steps, *more):
    photos = output / 'photos' / name
    link(folder, names | unseen, photos)
    return len(names), steps, f'--config.data.manual_dir={photos}', *more

  for count in map(int, args.cars):
    names = repeated(by_split['train'][:count])
    train(
      output / f'{count} scratch',
      *on_cars(f'{count}', names, args.steps, *common),
    )
  studio_cars = 45
  train(
    output / 'studio', studio_cars, args.base_steps,
    '--config.data.dataset=studio', *common,
  )  # fmt: skip
  others = {car: car for car in by_split['train'][-_OTHERS:]}
  train(
    output / 'other cars', *on_cars('other', others, args.base_steps, *common)
  )
  for count in map(int, args.cars):
    names = repeated(by_split['train'][:count])
    for start in STARTS[1:]:
      if start != STARTS[2] or not set(names.values()) & set(others):
        more = (
          f'--config.train.init_from={output / start}',
          f'--config.optimizer.learning_rate={args.rate}',
        )
        train(
          output / f'{count} {start}',
          *on_cars(f'{count}', names, args.steps, *common, *more),
        )


def table(output: pathlib.Path, counts: list[int]) -> str:
  """Returns a row of 80 columns at most for each number of cars."""
  lines = [_ROW.format('cars', *STARTS)]
  for count in counts:
    cells = []
    for start in STARTS:
      found = scores(output / f'{count} {start}')
      cells.append(
        ' / '.join(f'{x:.5f}' for x in found.values()) if found else ''
      )
    lines.append(_ROW.format(count, *cells))
  return '\n'.join([*lines, 'mean Dice at full size, validation / test'])


def plot(output: pathlib.Path, counts: list[int]) -> bytes:
  """Draws a curve of the test cars' Dice for each start; returns a PNG."""
  figure = Figure(figsize=(6, 4), dpi=120, layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for start in STARTS:
    found = {x: scores(output / f'{x} {start}') for x in counts}
    known = {x: y['test'] for x, y in found.items() if y}
    label = start if start == STARTS[0] else f'from {start}'
    axes.plot(list(known), list(known.values()), marker='o', label=label)
  axes.set_xscale('log')
  axes.set_xticks(counts, map(str, counts))
  axes.minorticks_off()
  axes.set_xlabel('labelled cars to train on, 16 photos each')
  axes.set_ylabel('mean Dice at full size, unseen cars (test)')
  axes.grid(alpha=0.3)
  axes.legend(frameon=False, loc='lower right')
  axes.spines[['top', 'right']].set_visible(False)
  stream = io.BytesIO()
  figure.savefig(stream, format='png')
  return stream.getvalue()


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  output, counts = files.absolute(args.output), list(map(int, args.cars))
  run_all(args, output)
  print(table(output, counts))
  if args.plot:
    files.write(files.absolute(args.plot), plot(output, counts))


if __name__ == '__main__':
  cli.run(main)
