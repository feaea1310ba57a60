"""Times a command to the end of its first training step, and to its --help.

    python -m benchmarks.start --manual_dir=FOLDER
    python -m benchmarks.start --dataset=studio --name=studio

Starts `python -m carvana_jax.main` as a user would, in new folders and on
prepared data, until it says that its first step is over; then kills it. Every
second start finds the programs that the one before it compiled. Then asks
every command for its --help. Prints medians, extremes and the medians of CPU
time; the first start of all, which may prepare the data, does not count.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('name', 'tiny_unet128', 'Of a config.')
  flags.DEFINE_string('dataset', 'carvana', 'carvana or studio.')
  flags.DEFINE_string('data_dir', 'data', 'Where prepared data are kept.')
  flags.DEFINE_string('manual_dir', '', 'Folder of the Kaggle files.')
  flags.DEFINE_integer('repeats', 5, 'Of every start.', lower_bound=1)
  cli.parse()

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
_SAID = 'first step after'
_ROW = '{:24}{:>10}{:>10}{:>10}{:>10}'


class Cost(NamedTuple):
  """What a process has taken up to a moment."""

  wall: float  # seconds
  cpu: float  # seconds, of all its threads


def verbs() -> list[str]:
  """Returns all modules of carvana_jax with a command line."""
  files = sorted((ROOT / 'carvana_jax').glob('*.py'))
  return [x.stem for x in files if '\n  cli.run(main)' in x.read_text()]


def until(words: Sequence[str], said: str, cache: pathlib.Path) -> Cost:
  """Runs a command until it prints a line, then kills it.

  Args:
    words: the command.
    said: how the line begins.
    cache: the folder for compiled programs.

  Raises:
    UserError: the command ended without printing it.
  """
  settings = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)}
  begun = time.perf_counter()
  with subprocess.Popen(
    words, cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True
  ) as process:
    try:
      for line in process.stdout:
        if line.startswith(said):
          wall = time.perf_counter() - begun
          times = psutil.Process(process.pid).cpu_times()
          return Cost(wall, times.user + times.system)
    finally:
      process.kill()
  raise UserError(f'{" ".join(words)} ended before its first step; mend it.')


def starts(words: Sequence[str], repeats: int) -> dict[str, list[Cost]]:
  """Times a training command's first step, with programs cached and without.

  Args:
    words: the command without --workdir, on data that are prepared.
    repeats: how often each is timed.
  """
  found = {'cold': [], 'warm': []}
  with tempfile.TemporaryDirectory(prefix='start_') as root:
    for number in range(repeats):
      cache = pathlib.Path(root) / f'cache_{number}'
      for name, costs in found.items():
        workdir = f'--workdir={root}/{name}_{number}'
        costs.append(until([*words, workdir], _SAID, cache))
  return found


def helps(verb: str, repeats: int) -> list[Cost]:
  """Times a command's --help."""
  costs = []
  for _ in range(repeats):
    begun, before = time.perf_counter(), os.times()
    subprocess.run(
      [sys.executable, '-m', f'carvana_jax.{verb}', '--help'],
      cwd=ROOT, stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])  # user and system of children
    costs.append(Cost(time.perf_counter() - begun, cpu))
  return costs


def table(found: dict[str, list[Cost]]) -> str:
  """Returns a line for each command, in 64 columns."""
  lines = [_ROW.format('', 'seconds', 'least', 'most', 'CPU s')]
  for name, costs in found.items():
    walls = [cost.wall for cost in costs]
    numbers = (
      statistics.median(walls),
      min(walls),
      max(walls),
      statistics.median(cost.cpu for cost in costs),
    )
    lines.append(_ROW.format(name, *(f'{x:.2f}' for x in numbers)))
  return '\n'.join(lines)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  words = [
    sys.executable, '-m', 'carvana_jax.main',
    f'--config=configs/{args.name}.py',
    f'--config.data.dataset={args.dataset}',
    f'--config.data.data_dir={args.data_dir}',
    f'--config.data.manual_dir={args.manual_dir}',
  ]  # fmt: skip
  with tempfile.TemporaryDirectory(prefix='start_') as root:
    root = pathlib.Path(root)
    until([*words, f'--workdir={root}/run'], _SAID, root / 'cache')
  print(f'first step of {args.name}, programs compiled (cold) or cached')
  print(table(starts(words, args.repeats)), flush=True)
  print('--help')
  print(table({verb: helps(verb, args.repeats) for verb in verbs()}))


if __name__ == '__main__':
  cli.run(main)
