"""Measures what grows with the data and with the devices.

    python -m benchmarks.scale --manual_dir=FOLDER

1. Data: links to the photos of FOLDER make data sets of 1, 4 and 16 times the
   size. Preparing, an epoch of training and the evaluation (`main`), and a
   submission are timed as whole commands, with their largest memory. Start-up
   takes the same time for all, so the difference between two sizes is what the
   additional images cost.
2. Devices: a step on the same batch split over 1, 2, 4 and 8 host devices, and
   over 2 processes, and how much of that goes into summing the gradient.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_multi_enum(
    'parts', ['devices', 'data'], ['devices', 'data'], 'What is measured.'
  )
  flags.DEFINE_string(
    'manual_dir', None, 'Unpacked folder of the Kaggle files.', required=True
  )
  flags.DEFINE_list('times', ['1', '4', '16'], 'Sizes of the data, growing.')
  flags.DEFINE_string('name', 'tiny_unet128', 'Of a config.')
  flags.DEFINE_integer('batch', 16, 'Images a step.', lower_bound=8)
  flags.DEFINE_integer('rounds', 5, 'Timings of a step.', lower_bound=1)
  flags.DEFINE_float('seconds', 2, 'Of a timing.', lower_bound=0)
  cli.parse()

import contextlib
import hashlib
import pathlib
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import psutil

from benchmarks import workers
from carvana_jax.datasets import spec
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# Which split the cars of a turn go to.
_SPLITS = ('train', 'train', 'train', 'train', 'validation', 'test')
_SAMPLE_SECONDS = 0.05
_TASKS = ('step', 'collectives')


class Usage(NamedTuple):
  """What a command took."""

  seconds: float
  megabytes: float  # of memory, at most


def grow(source: pathlib.Path, folder: pathlib.Path, times: int) -> int:
  """Makes a folder of links to the photos and masks of six cars.

  Args:
    source: holds `train` and `train_masks`.
    folder: the folder to make, with the same two in it.
    times: how many cars each of the six becomes. Their ids are chosen so that
      the splits have the same proportions for any number.

  Returns:
    The number of photos.
  """
  photos = sorted((source / 'train').glob('*.jpg'))
  found = sorted({photo.name[:12] for photo in photos})[: len(_SPLITS)]
  if len(found) < len(_SPLITS):
    raise UserError(
      f'{source}/train has photos of {len(found)} cars, but '
      f'{len(_SPLITS)} are needed; choose another --manual_dir.'
    )
  for name in ('train', 'train_masks'):
    (folder / name).mkdir(parents=True)
  count = 0
  for turn in range(times):
    for car, split in zip(found, _SPLITS, strict=True):
      new = _id(f'{car} {turn}', split)
      for kind in ('train', 'train_masks'):
        for file in (source / kind).glob(f'{car}_*'):
          target = folder / kind / file.name.replace(car, new)
          target.symlink_to(file.resolve())
          count += kind == 'train'
  return count


def _id(text, split):
  """Returns the twelve hexadecimal digits of a car in that split."""
  number = 0
  while True:
    digest = hashlib.sha256(f'{text} {number}'.encode()).hexdigest()[:12]
    if spec.split_of(digest) == split:
      return digest
    number += 1


def usage(words: list[str], log: pathlib.Path) -> Usage:
  """Runs a command to its end; returns its time and largest memory."""
  begun, most = time.perf_counter(), 0
  with (
    log.open('wb') as file,
    psutil.Popen(
      words, cwd=workers.ROOT, stdout=file, stderr=subprocess.STDOUT
    ) as process,
  ):
    while process.poll() is None:
      with contextlib.suppress(psutil.Error):  # it has just ended
        most = max(most, process.memory_info().rss)
      time.sleep(_SAMPLE_SECONDS)
  if process.returncode:
    reason = log.read_text(errors='replace').strip().rpartition('\n')[2]
    raise UserError(f'{shlex.join(words)} failed: {reason}')
  return Usage(time.perf_counter() - begun, most / 1e6)


def commands(name: str, root: pathlib.Path) -> dict[str, list[str]]:
  """Returns what is timed: training on the data in `root`, a submission."""
  here = [sys.executable, '-m']
  photos = root / 'photos'
  return {
    'main': [
      *here, 'carvana_jax.main', f'--config=configs/{name}.py',
      f'--config.data.manual_dir={photos}', f'--workdir={root / "run"}',
      f'--config.data.data_dir={root / "data"}', '--config.train.epochs=1',
    ],
    'submit': [
      *here, 'carvana_jax.submit', f'--workdir={root / "run"}',
      f'--input={photos / "train"}', f'--output={root / "submission.csv"}',
    ],
  }  # fmt: skip


def over_data(args, root: pathlib.Path) -> str:
  """The table of the first part."""
  source = files.expand(args.manual_dir)
  form = '{:8}{:>8}{:>10}{:>20}{:>12}'
  rows = [form.format('', 'photos', 'seconds', 'ms a photo more', 'MB')]
  before = {}
  # The first time, which compiles the programs for all others, does not count.
  sizes = list(map(int, args.times))
  for turn, times in enumerate([sizes[0], *sizes]):
    folder = root / f'{turn}'
    count = grow(source, folder / 'photos', times)
    for name, words in commands(args.name, folder).items():
      print(f'{name} with {count} photos', file=sys.stderr)
      used = usage(words, folder / f'{name}.log')
      if not turn:
        continue
      more = ''
      if name in before:
        fewer, seconds = before[name]
        more = f'{1000 * (used.seconds - seconds) / (count - fewer):.1f}'
      before[name] = count, used.seconds
      shown = f'{used.seconds:.1f}', more, f'{used.megabytes:.0f}'
      rows.append(form.format(name, count, *shown))
  return '\n'.join(rows)


def placements(name: str, batch: int) -> dict[str, list[list[str]]]:
  """Returns the commands of the second part's workers, by placement."""
  words = [
    sys.executable, '-m', 'benchmarks.scaled_step', name, str(batch)
  ]  # fmt: skip
  with socket.socket() as free:
    free.bind(('localhost', 0))
    coordinator = f'localhost:{free.getsockname()[1]}'
  return {
    **{f'{n} devices': [[*words, str(n)]] for n in (1, 2, 4, 8)},
    '2 processes': [
      [*words, '1', coordinator, '2', str(index)] for index in range(2)
    ],
  }


def over_devices(args) -> str:
  """Measures the second part; returns its table."""
  form = '{:14}{:>12}{:>14}{:>16}{:>10}'
  head = ('', 'ms a step', 'images/s', 'collectives, ms', 'share')
  rows = [form.format(*head)]
  with workers.started(placements(args.name, args.batch)) as asked:
    found = workers.times(asked, _TASKS, args.rounds, args.seconds)
  for name in asked:
    step, collect = (statistics.median(found[task][name]) for task in _TASKS)
    shown = (
      f'{1000 * step:.1f}',
      f'{args.batch / step:.1f}',
      f'{1000 * collect:.2f}',
      f'{100 * collect / step:.1f} %',
    )
    rows.append(form.format(name, *shown))
  return '\n'.join(rows)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  if not all(x.isdecimal() and int(x) for x in args.times) or (
    sorted(set(args.times), key=int) != args.times
  ):
    raise UserError(
      f'--times={",".join(args.times)} must be growing whole numbers, such as '
      '1,4,16.'
    )
  if args.batch % 8:
    raise UserError(f'--batch={args.batch} must be a multiple of 8.')
  if not (workers.ROOT / 'configs' / f'{args.name}.py').exists():
    raise UserError(
      f'--name={args.name} is no file of configs/; try --name=studio.'
    )
  if 'devices' in args.parts:
    print(over_devices(args), flush=True)
  if 'data' in args.parts:
    with tempfile.TemporaryDirectory(prefix='scale_') as folder:
      print(over_data(args, pathlib.Path(folder)))


if __name__ == '__main__':
  cli.run(main)
