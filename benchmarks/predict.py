"""Measures how submissions are made, and whether kills change them.

    python -m benchmarks.predict --workdir=runs/a --input=test \\
        --output=runs/predict --json=runs/predict/predict.json

Runs `python -m carvana_jax.submit` as a user would, on links to the photos of a
folder, repeated as often as needed: its stages one by one on one core; as a
whole, while its memory is watched; and killed again and again. Writes
memory.csv and memory.png to OUTPUT; the exit code is 1 if the killed submission
differs from an undisturbed one. On Linux only, and with a trained network:
masks of noise take long to encode.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of a run.', required=True)
  flags.DEFINE_string('input', None, 'Folder of photos.', required=True)
  flags.DEFINE_string(
    'output', None, 'Folder for memory.csv and memory.png.', required=True
  )
  flags.DEFINE_integer(
    'images', 10_000, 'How many photos there seem to be, at least 256.'
  )
  flags.DEFINE_integer('kills', 20, 'How many.', lower_bound=0)
  flags.DEFINE_string('json', '', "File for the figures; '': none.")
  cli.parse()

import contextlib
import csv
import functools
import io
import json
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent import futures
from typing import NamedTuple

import numpy as np
import psutil
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import stages
from carvana_jax.inference import finding, photos
from carvana_jax.submission import parts
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import provenance

ROOT = pathlib.Path(__file__).parents[1]
_STAGED = 64  # photos, four cars; the network gets as many before, to compile
_FEWEST = 256  # photos of two parts: the first one's end is seen
_KILLED_SECONDS = 60  # of work for the submission that is killed
_SAMPLE_SECONDS = 0.5
_MOST_GROWTH = 100  # MB


class Sample(NamedTuple):
  """A look at the running command."""

  seconds: float  # since its start
  photos: int  # in finished parts
  megabytes: float  # resident, with the command's children


class Course(NamedTuple):
  """What a finished command took."""

  photos: int
  seconds: float
  cpu_seconds: float
  samples: list[Sample]

  @property
  def rate(self) -> float:
    """Photos a second after the first part, so without start-up."""
    known = (x for x in self.samples if 0 < x.photos < self.photos)
    first = next(known, Sample(0, 0, 0))  # unseen in less than a sample's time
    return (self.photos - first.photos) / (self.seconds - first.seconds)

  @property
  def start(self) -> float:
    """Seconds of start-up."""
    return self.seconds - self.photos / self.rate


class Kill(NamedTuple):
  """When the command was killed, and what was left of its work."""

  seconds: float  # since its start
  photos: int  # in finished parts


def link(
  found: Sequence[photos.Photo], folder: pathlib.Path, count: int
) -> pathlib.Path:
  """Makes a folder of so many photos by repeating some under other names.

  Args:
    found: photos of a folder.
    folder: the folder to make.
    count: how many links; the views of a car stay together.

  Returns:
    The folder.
  """
  folder.mkdir()
  for number in range(count):
    turn, index = divmod(number, len(found))
    target = pathlib.Path(found[index].label).absolute()
    (folder / f'{turn:05}_{found[index].file}').symlink_to(target)
  return folder


def command(
  workdir: pathlib.Path, folder: pathlib.Path, size: tuple[int, int]
) -> list[str]:
  """Returns the command that makes a submission, without --output.

  Args:
    workdir: of the run.
    folder: of the photos.
    size: (H, W) of the photos.
  """
  return [
    sys.executable, '-m', 'carvana_jax.submit', f'--workdir={workdir}',
    f'--input={folder}', f'--size={size[0]}x{size[1]}',
  ]  # fmt: skip


def watch(words: list[str], output: pathlib.Path, count: int) -> Course:
  """Runs the command to its end and looks at it all the time.

  Args:
    words: the command, all but --output.
    output: the submission.
    count: of photos.

  Raises:
    UserError: the command failed.
  """
  samples, done = [], 0
  before, begun = _cpu_seconds(), time.perf_counter()
  process = _started(words, output)
  while not _ends(process, _SAMPLE_SECONDS):
    seconds = time.perf_counter() - begun
    with contextlib.suppress(psutil.NoSuchProcess):
      done = max(done, kept(output))  # joined parts are removed
      samples.append(Sample(seconds, done, _megabytes(process.pid)))
  seconds = time.perf_counter() - begun
  return Course(count, seconds, _cpu_seconds() - before, samples)


def kept(output: pathlib.Path) -> int:
  """Returns how many photos are in finished parts of a submission."""
  return sum(map(_rows, parts.folder_of(output).glob('part_*.csv')))


@functools.cache  # a part never changes
def _rows(part):
  try:
    with part.open() as file:
      return sum(1 for _ in file) - 1  # the first line is no row
  except FileNotFoundError:  # it has just been joined
    return 0


def _started(words, output):
  words = [*words, f'--output={output}']
  return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)


def _ends(process, seconds):
  """Whether it ends within that time; `UserError` if by a failure."""
  try:
    code = process.wait(seconds)
  except subprocess.TimeoutExpired:
    return False
  if code:
    raise UserError(f'submit failed with exit code {code}, see above; mend it.')
  return True


def _cpu_seconds():
  """Of all processes that this one has started and that have ended."""
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


def _megabytes(pid):
  process = psutil.Process(pid)
  family = [process, *process.children(recursive=True)]
  return sum(x.memory_info().rss for x in family) / 1e6


def peaks(samples: Sequence[Sample]) -> list[Sample]:
  """Returns the sample of most memory for every number of finished photos."""
  found = {}
  for sample in samples:
    there = found.setdefault(sample.photos, sample)
    if sample.megabytes > there.megabytes:
      found[sample.photos] = sample
  return [found[count] for count in sorted(found)]


def growth(table: Sequence[Sample], count: int) -> tuple[Sample, Sample]:
  """Returns the peaks from which and to which memory is said to grow.

  Args:
    table: as from `peaks`.
    count: of all photos.

  Returns:
    The first one with a tenth of the photos, and the last one.
  """
  tenth = (x for x in table if x.photos >= count / 10)
  return next(tenth, table[-1]), table[-1]


def survive(
  words: list[str],
  output: pathlib.Path,
  whole: bytes,
  course: Course,
  kills: int,
) -> tuple[list[Kill], bool]:
  """Kills the command again and again, then lets it finish.

  The moment is uniform over the start-up and twice the photos' time divided by
  the starts that are still to come; for the last kill that is all the time that
  the command needs. If it ends before, another submission is begun.

  Args:
    words: the command, all but --output.
    output: the submission.
    whole: an undisturbed one.
    course: of that one.
    kills: how many times it is killed.

  Returns:
    The kills, and whether the submission is the undisturbed one.
  """
  rng = np.random.default_rng(0)
  done, same = [], True
  while len(done) < kills:
    left = (course.photos - kept(output)) / course.rate
    longest = course.start + 2 * left / (kills - len(done) + 1)
    seconds = rng.uniform(0, longest)
    process = _started(words, output)
    if not _ends(process, seconds):
      process.kill()
      process.wait()
      done.append(Kill(seconds, kept(output)))
      print(
        f'killed after {seconds:.1f} s with {done[-1].photos} photos done',
        flush=True,
      )
    if output.exists() and not parts.folder_of(output).exists():
      same &= output.read_bytes() == whole
      output.unlink()
  _ends(_started(words, output), None)
  return done, same and output.read_bytes() == whole


def course_lines(course: Course) -> str:
  """How fast the whole command was."""
  cores = os.cpu_count()
  busy = course.cpu_seconds / course.seconds / cores
  return (
    f'{course.photos:,} photos in {course.seconds:.1f} s on {cores} cores, '
    f'which were busy for {busy:.0%}:\n'
    f'{course.photos / course.seconds:.1f} images/s; {course.rate:.1f} without '
    f'the start-up of {course.start:.1f} s'
  )


def growth_line(first: Sample, last: Sample) -> str:
  """How much memory the command used early and late."""
  return (
    f'memory: {first.megabytes:.0f} MB at {first.photos:,} photos, '
    f'{last.megabytes:.0f} MB at {last.photos:,}: '
    f'{last.megabytes - first.megabytes:+.0f} MB '
    f'(goal: under {_MOST_GROWTH})'
  )


def _write_memory(table, output):
  text = io.StringIO()
  rows = csv.writer(text, lineterminator='\n')
  rows.writerow(['photos', 'seconds', 'megabytes'])
  rows.writerows(
    (x.photos, f'{x.seconds:.1f}', f'{x.megabytes:.1f}') for x in table
  )
  files.write(output / 'memory.csv', text.getvalue())
  files.write(output / 'memory.png', _plot(table))


def _plot(table):
  figure = Figure(figsize=(6, 3), dpi=150, layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  axes.plot([x.photos for x in table], [x.megabytes for x in table], marker='.')
  axes.set_ylim(0, 1.1 * max(x.megabytes for x in table))
  axes.set_xlabel('photos in finished parts')
  axes.set_ylabel('resident memory, MB')
  axes.grid(alpha=0.3)
  axes.spines[['top', 'right']].set_visible(False)
  stream = io.BytesIO()
  figure.savefig(stream, format='png')
  return stream.getvalue()


def _in_own_process(function, *arguments):
  """Calls a function in a process, whose cores and memory are free after it."""
  spawn = multiprocessing.get_context('spawn')
  with futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
    return pool.submit(function, *arguments).result()


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  workdir, folder, output, report = (
    files.absolute(x)
    for x in (args.workdir, args.input, args.output, args.json)
  )
  if not folder.is_dir():
    raise UserError(f'--input={folder} is no folder; unpack the photos.')
  if args.images < _FEWEST:
    raise UserError(f'--images={args.images} must be at least {_FEWEST}.')
  found = finding.find(str(folder))
  size = found[0].pixels().shape[:2]
  for made in (output, report.parent):
    made.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    many = link(found, root / 'many', args.images)
    costs = _in_own_process(stages.measure, str(workdir), str(many), _STAGED)
    print(stages.table(costs), flush=True)
    words = command(workdir, many, size)
    course = watch(words, root / 'many.csv', args.images)
    table = peaks(course.samples)
    ends = growth(table, args.images)
    _write_memory(table, output)
    print(course_lines(course), growth_line(*ends), sep='\n', flush=True)
    count = int(np.clip(_KILLED_SECONDS * course.rate, _FEWEST, args.images))
    words = command(workdir, link(found, root / 'few', count), size)
    alone = watch(words, root / 'alone.csv', count)
    whole = (root / 'alone.csv').read_bytes()
    kills, same = survive(words, root / 'killed.csv', whole, alone, args.kills)
  if args.json:
    record = {
      'commit': provenance.commit(),
      'workdir': str(workdir),
      'cores': os.cpu_count(),
      'stages': {stage: cost._asdict() for stage, cost in costs.items()},
      **_summary(course),
      'memory': [end._asdict() for end in ends],
      'killed': _summary(alone),
      'kills': [kill._asdict() for kill in kills],
      'identical': same,
    }
    files.write(report, json.dumps(record, indent=2) + '\n')
  resumed = sum(kill.photos > 0 for kill in kills)
  print(f'{resumed} of {len(kills)} kills left finished parts to go on from')
  print(f'killed {len(kills)} times: {"identical" if same else "different"}')
  if not same:
    sys.exit(1)


def _summary(course):
  names = ('photos', 'seconds', 'cpu_seconds', 'rate', 'start')
  return {name: getattr(course, name) for name in names}


if __name__ == '__main__':
  cli.run(main)
