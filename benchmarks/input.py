"""Compares how fast batches come with what people would use instead.

    python -m benchmarks.input --manual_dir=FOLDER --json=input.json

Prepared files to batches on the devices, as the training loop gets them, beside
the same from the original JPGs and GIFs in a PyTorch DataLoader with 2 workers,
decoded by OpenCV or by Pillow. Each is a process of its own, and they take
turns; neither their start nor preparing the data counts. What is compared is
the CPU time, user and system, including that of workers. `kept` is ours once
the photos are in memory, as from a run's second epoch on.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string(
    'manual_dir', None, 'Unpacked folder of the Kaggle files.', required=True
  )
  flags.DEFINE_string('data_dir', 'data', 'Where prepared data are kept.')
  flags.DEFINE_string('peers', '.peers/bin/python', "The peers' Python.")
  flags.DEFINE_list(
    'sizes', ['128x128', '256x256', '512x768', '1024x1536'], 'HEIGHTxWIDTH,…'
  )
  flags.DEFINE_integer('images', 256, 'Of each size in a round.', lower_bound=1)
  flags.DEFINE_integer('batch_size', 16, 'Images a batch.', lower_bound=1)
  flags.DEFINE_integer('rounds', 5, 'After one to warm up.', lower_bound=1)
  flags.DEFINE_string('json', '', "File for the figures; '': none.")
  cli.parse()

import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

from benchmarks import workers
from carvana_jax.system import files, progress, threads
from carvana_jax.system.errors import UserError
from carvana_jax.training import provenance

_PEERS = ('opencv', 'pillow')
_SIDES = ('ours', 'kept', *_PEERS)
_ROW = '{:>9}' + '{:>8}' * 8 + '{:>7}'
_HEAD = (
  '          images/s, a core of time        images/s, by the clock  times as\n'
  + _ROW.format('size', *_SIDES, *_SIDES, 'fast*')
)


def commands(args: Any) -> dict[str, list[str]]:
  """Returns the command of each side, by its name.

  Args:
    args: the flags.

  Raises:
    UserError: there is no environment of the peers, or no folder of photos.
  """
  folder = unpacked(args.manual_dir)
  common = [
    f'--manual_dir={folder}', f'--sizes={",".join(args.sizes)}',
    f'--images={args.images}', f'--batch_size={args.batch_size}',
  ]  # fmt: skip
  ours = [sys.executable, '-m', 'benchmarks.batches', *common]
  loader = [
    workers.peers_python(args.peers),
    'benchmarks/frameworks/loader.py',
    *common,
  ]
  return {
    'ours': [*ours, f'--data_dir={pathlib.Path(args.data_dir).absolute()}'],
    **{name: [*loader, f'--decoder={name}'] for name in _PEERS},
  }


def unpacked(manual_dir: str) -> pathlib.Path:
  """The folder of the photos; `UserError` if the peers can't read it."""
  folder = files.absolute(manual_dir)
  for name in ('train', 'train_masks'):
    if not (folder / name).is_dir():
      raise UserError(
        f'--manual_dir={manual_dir} has no folder {name}, which the peers '
        'read; unpack the photos.'
      )
  return folder


def measure(words: list[str]) -> dict[str, dict[str, float]]:
  """Runs one of the commands; returns what `clock.course` gives, by size.

  Raises:
    UserError: the command failed.
  """
  done = subprocess.run(
    words, cwd=workers.ROOT, stdout=subprocess.PIPE, text=True, check=False
  )
  if done.returncode:
    raise UserError(
      f'{words[0]} ended with exit code {done.returncode}, see above; mend '
      f'that or install {workers.REQUIREMENTS} anew.'
    )
  return json.loads(done.stdout.splitlines()[-1])


def row(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
  """Returns what the table says of a size.

  Args:
    rounds: for each round, what `clock.course` gave, by side.

  Returns:
    Images a second of `cpu` and of `wall` time, by side, and the `ratio` of
    ours by CPU time to the better peer's; all are medians over the rounds.
  """

  def rate(one, kind):
    return one['images'] / one[kind]

  def median(kind, name):
    course = lambda one: one['ours']['kept'] if name == 'kept' else one[name]
    return statistics.median(rate(course(one), kind) for one in rounds)

  return {
    **{
      kind: {name: median(kind, name) for name in _SIDES}
      for kind in ('cpu', 'wall')
    },
    'ratio': statistics.median(
      rate(one['ours'], 'cpu') / max(rate(one[x], 'cpu') for x in _PEERS)
      for one in rounds
    ),
  }


def table(rows: dict[str, dict[str, Any]]) -> str:
  """A line for each size."""
  lines = [_HEAD]
  for size, values in rows.items():
    rates = [
      f'{values[kind][name]:.1f}' for kind in ('cpu', 'wall') for name in _SIDES
    ]
    lines.append(_ROW.format(size, *rates, f'{values["ratio"]:.1f}'))
  return '\n'.join(lines) + '\n* by time of cores, as the better of the two'


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  if args.images < args.batch_size:
    raise UserError(
      f'--images={args.images} is less than a batch; choose at least '
      f'{args.batch_size}.'
    )
  words = commands(args)
  json_file = workers.output_file(args.json)
  courses = []
  # The first round makes what is missing and fills the page cache.
  with progress.bar(total=len(words) * (args.rounds + 1), unit='run') as bar:
    for _ in range(args.rounds + 1):
      courses.append({})
      for name in words:
        bar.set_description(f'round {len(courses) - 1}, {name}')
        courses[-1][name] = measure(words[name])
        bar.update()
  rows = {
    size: row(
      [{name: one[name][size] for name in words} for one in courses[1:]]
    )
    for size in args.sizes
  }
  print(table(rows))
  if json_file:
    record = {
      'commit': provenance.commit(),
      'cores': threads.core_count(),
      'rounds': args.rounds,
      'images': args.images,
      'sizes': rows,
    }
    files.write(json_file, json.dumps(record, indent=2) + '\n')


if __name__ == '__main__':
  cli.run(main)
