"""Compares runs that are killed and go on with one that was left alone.

    python -m benchmarks.kill --kills=50

Trains a small network undisturbed, with everything switched on that a state,
a record or a random choice depends on. Then trains it again for each kill, in a
new folder: SIGKILL comes at a random moment, every third time while a
checkpoint is written, and in a third of the cases once more; at last the
command runs to its end. What is left is compared bit by bit (`remains.py`),
including the scores of the evaluation.

There are two undisturbed runs: the first compiles the programs, and all others
read them from a cache. These two are compared first. The exit code is 1 if
anything differs; then the folders are kept.
"""

import pathlib
import sys

from absl import flags

if not __package__:
  # Started by its path: Python looks for modules beside it only.
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_integer('kills', 50, 'Runs that are killed.', lower_bound=1)
  flags.DEFINE_enum('signal', 'KILL', ['KILL', 'TERM'], 'What ends them.')
  flags.DEFINE_integer('seed', 0, 'Of the moments.', lower_bound=0)
  cli.parse()

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np
from tqdm import tqdm

from benchmarks import remains
from carvana_jax.configs import debug
from carvana_jax.datasets import prepare
from carvana_jax.datasets.studio import studio_dataset_builder
from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
_CARS = 8  # of the data set: the first that have one of every split
# What the debug config leaves out. The batch does not divide the 96 photos.
_SETTINGS = {
  'model.dropout': 0.2,
  'model.dropout_levels': (1, 2),
  'augment.flip_up_down': True,
  'augment.rotation': 10,
  'augment.scale': 0.1,
  'augment.shift': 0.05,
  'augment.brightness': 0.1,
  'augment.contrast': 0.1,
  'augment.saturation': 0.1,
  'augment.hue': 0.05,
  'augment.gray': 0.1,
  'train.batch_size': 18,
  'train.epochs': 6,
  'train.average_decay': 0.9,
  'train.patience': 4,
  'train.picture_epochs': 2,
}
# The writing of a checkpoint, by what appears in a run's folder.
_WRITING = {
  'begun': 'checkpoints/*-tmp',
  'renamed': 'checkpoints/*[0-9]',
  'recorded': 'checksums/*',
}
_LONGEST_DELAY = 0.03  # seconds from that to the kill
_NAMED = 3  # differences
_ROW = '{:>5}  {:12}{:>8}{:>8}{:>7}  {:13}{}'
_HEAD = ('trial', 'killed at', 'seconds', 'logged', 'saved', 'half-written',
         'end')  # fmt: skip


class Course(NamedTuple):
  """Seconds from the start of an undisturbed run."""

  first: float  # to its first words, when all is loaded
  end: float


class Plan(NamedTuple):
  """When a process is to be killed."""

  seconds: float  # since its start
  writing: str  # then wait for this part of `_WRITING`; '': don't
  delay: float  # seconds after that


class Kill(NamedTuple):
  """A kill that hit, and what was there then."""

  at: str
  seconds: float  # since the start of the process
  logged: int  # last step in metrics.jsonl
  saved: int  # last step of a whole checkpoint
  half: bool  # whether a checkpoint was there in part


def command(
  workdir: pathlib.Path, data_dir: pathlib.Path, settings: dict[str, Any]
) -> list[str]:
  """Returns the command that trains configs/debug.py with other settings."""
  return [
    sys.executable, '-m', 'carvana_jax.main', '--config=configs/debug.py',
    f'--workdir={workdir}', f'--config.data.data_dir={data_dir}',
    *(f'--config.{field}={value}' for field, value in settings.items()),
  ]  # fmt: skip


@contextlib.contextmanager
def _started(words, log) -> Iterator[subprocess.Popen]:
  """Starts a process that appends to a file, and ends it on leaving."""
  cache = {
    'JAX_COMPILATION_CACHE_DIR': str(log.parent / 'cache'),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }
  with log.open('ab') as output:
    process = subprocess.Popen(
      words, cwd=ROOT, env=os.environ | cache, stdout=output, stderr=output
    )
  try:
    yield process
  finally:
    process.kill()
    process.wait()


def undisturbed(words: list[str], log: pathlib.Path) -> Course:
  """Runs the command to its end.

  Args:
    words: the command.
    log: the file for its output; does not exist yet.

  Raises:
    UserError: the command failed.
  """
  begun, first = time.perf_counter(), None
  with _started(words, log) as process:
    while not _ends(process, 0.02):
      if first is None and log.stat().st_size:
        first = time.perf_counter() - begun
  if process.returncode:
    raise UserError(f'the undisturbed run failed, see {log}; mend it.')
  return Course(first, time.perf_counter() - begun)


def _ends(process, seconds):
  """Whether it ends within that time."""
  try:
    process.wait(seconds)
  except subprocess.TimeoutExpired:
    return False
  return True


def strike(
  words: list[str],
  workdir: pathlib.Path,
  log: pathlib.Path,
  plan: Plan,
  number: signal.Signals,
) -> Kill | None:
  """Starts the command and kills it.

  Args:
    words: the command.
    workdir: its folder.
    log: the file for its output.
    plan: when.
    number: SIGKILL or SIGTERM.

  Returns:
    The kill; None if the process ended before it.

  Raises:
    UserError: the command failed before it.
  """
  begun = time.perf_counter()
  with _started(words, log) as process:
    if not _lives_until(plan, process, workdir):
      if process.returncode:
        raise UserError(f'a run failed before its kill, see {log}; mend it.')
      return None
    process.send_signal(number)
    seconds = time.perf_counter() - begun
    if process.wait() == 0 and number == signal.SIGKILL:
      return None  # its end was faster
  return _seen(workdir, plan.writing or 'any moment', seconds)


def _lives_until(plan, process, workdir):
  """Waits for the moment; tells whether the process still lives then."""
  if _ends(process, plan.seconds):
    return False
  if not plan.writing:
    return True
  pattern = _WRITING[plan.writing]
  before = set(workdir.glob(pattern))
  while set(workdir.glob(pattern)) <= before:
    if _ends(process, 0.001):
      return False
  return not _ends(process, plan.delay)


def _seen(workdir, at, seconds):
  path = workdir / 'metrics.jsonl'
  # A line without its end was being written.
  lines = path.read_text().split('\n')[:-1] if path.exists() else []
  names = [path.name for path in (workdir / 'checkpoints').glob('*')]
  saved = [int(name) for name in names if name.isdigit()]
  return Kill(
    at,
    seconds,
    json.loads(lines[-1])['step'] if lines else 0,
    max(saved, default=0),
    any(name.endswith('-tmp') for name in names),
  )


def survive(
  words: list[str],
  workdir: pathlib.Path,
  log: pathlib.Path,
  plans: list[Plan],
  number: signal.Signals,
) -> tuple[list[Kill], str]:
  """Kills the command as planned, then runs it to its end.

  If the process ends before the first kill, everything begins again, and the
  kill comes earlier.

  Args:
    words: the command.
    workdir: its folder, which is made.
    log: the file for its output.
    plans: when the first process is killed, the second, and so on.
    number: SIGKILL or SIGTERM.

  Returns:
    The kills that hit, and what failed in the last run; '' if nothing did.

  Raises:
    UserError: the command failed before the first kill.
  """
  first, *others = plans
  while not (kill := strike(words, workdir, log, first, number)):
    shutil.rmtree(workdir, ignore_errors=True)
    first = first._replace(seconds=0.8 * first.seconds)
  kills = [kill]
  for plan in others:
    # What fails now will fail again below.
    with contextlib.suppress(UserError):
      kills += filter(None, [strike(words, workdir, log, plan, number)])
  with _started(words, log) as process:
    process.wait()
  if process.returncode:
    last = log.read_text().strip().splitlines()[-1:]
    return kills, f'exit code {process.returncode}: {"".join(last)}'
  return kills, ''


def plans_of(
  trial: int, course: Course, rng: np.random.Generator
) -> list[Plan]:
  """Draws when the processes of a trial are killed; trials count from 0."""
  writing = rng.choice(list(_WRITING)) if trial % 3 == 0 else ''
  found = [
    Plan(
      rng.uniform(course.first, course.end),
      str(writing),
      rng.uniform(0, _LONGEST_DELAY),
    )
  ]
  if rng.random() < 1 / 3:
    # Start-up included.
    found.append(Plan(rng.uniform(0, course.end), '', 0))
  return found


def rows(trial: int, kills: list[Kill], result: str) -> str:
  """Returns the lines of the table, one for each kill."""
  lines = []
  for kill in kills:
    lines.append(
      _ROW.format(
        '' if lines else trial,
        kill.at,
        f'{kill.seconds:.2f}',
        kill.logged,
        kill.saved,
        'yes' if kill.half else 'no',
        result if len(lines) == len(kills) - 1 else '',
      ).rstrip()
    )
  return '\n'.join(lines)


def compare(
  root: pathlib.Path,
  settings: dict[str, Any],
  trials: int,
  number: signal.Signals,
  seed: int,
) -> tuple[list[Kill], int]:
  """Kills runs, and compares what they leave with undisturbed ones.

  Args:
    root: a folder that holds the prepared `data` and nothing else.
    settings: of the config.
    trials: how many runs are killed.
    number: SIGKILL or SIGTERM.
    seed: of the moments.

  Returns:
    All kills, and how many of the runs ended as if undisturbed.

  Raises:
    UserError: an undisturbed run failed, or two of them differ.
  """
  runs = []
  for name in ('compiled', 'cached'):
    words = command(root / name, root / 'data', settings)
    course = undisturbed(words, root / f'{name}.log')
    runs.append(remains.of(root / name))
  expected = runs[0]
  if differing := remains.differences(*runs):
    raise UserError(
      f'undisturbed runs differ in {_named(differing)}; compare '
      f'{root}/compiled and cached.'
    )
  print(
    f'undisturbed, programs cached: {course.end:.1f} s, the first '
    f'{course.first:.1f} s without a word',
    _ROW.format(*_HEAD),
    sep='\n',
    flush=True,
  )
  rng = np.random.default_rng(seed)
  all_kills, identical = [], 0
  for trial in tqdm(range(trials), unit='trial', disable=None):
    workdir, log = root / f'{trial}', root / f'{trial}.log'
    words = command(workdir, root / 'data', settings)
    plans = plans_of(trial, course, rng)
    kills, failure = survive(words, workdir, log, plans, number)
    found = {} if failure else remains.of(workdir)
    differing = failure or _named(remains.differences(expected, found))
    result = 'DIFFERENT' if differing else 'identical'
    tqdm.write(rows(trial, kills, result))
    if differing:
      tqdm.write(f'       {differing}')
    else:
      identical += 1
      shutil.rmtree(workdir)
    all_kills += kills
  return all_kills, identical


def _prepare(data_dir):
  """Renders the data set of all runs."""
  config = debug.get_config().data
  config.data_dir = str(data_dir)
  builder_config = studio_dataset_builder.Builder.builder_configs[config.size]
  # TFDS refuses another builder config of the same name.
  with mock.patch.multiple(builder_config, cars=_CARS, unlabeled_cars=0):
    prepare.for_network(config)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  # Accelerators are for the processes that are killed.
  jax.config.update('jax_platforms', 'cpu')
  root = pathlib.Path(tempfile.mkdtemp(prefix='kill_'))
  _prepare(root / 'data')
  number = signal.Signals[f'SIG{args.signal}']
  kills, identical = compare(root, _SETTINGS, args.kills, number, args.seed)
  print(_summary(kills))
  if identical == args.kills:
    shutil.rmtree(root)
  else:
    print(f'folders and output of what differs are kept in {root}')
  print(f'{identical} of {args.kills} identical')
  if identical < args.kills:
    sys.exit(1)


def _named(differing):
  """'TensorBoard event 7, end of metrics.jsonl'"""
  more = len(differing) - _NAMED
  return ', '.join(differing[:_NAMED]) + (f', {more} more' if more > 0 else '')


def _summary(kills):
  writing = sum(kill.at in _WRITING for kill in kills)
  half = sum(kill.half for kill in kills)
  fresh = sum(not kill.saved for kill in kills)
  return (
    f'{len(kills)} kills: {writing} aimed at a checkpoint, {half} with one '
    f'half-written, {fresh} before the first'
  )


if __name__ == '__main__':
  cli.run(main)
