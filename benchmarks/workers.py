"""Processes that time steps when asked, in turn; see `frameworks.serving`."""

import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.frameworks import serving
from carvana_jax.system import files, progress
from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
REQUIREMENTS = 'benchmarks/frameworks/requirements.txt'


def output_file(name: str, flag: str = '--json') -> pathlib.Path | None:
  """Returns the file that a flag names, if any; called before any work.

  Raises:
    UserError: nothing can be written there.
  """
  if not name:
    return None
  path = files.absolute(name)
  files.check_folder(path.parent, flag)
  path.parent.mkdir(parents=True, exist_ok=True)
  return path


def peers_python(name: str) -> str:
  """Returns the path of the peers' Python; a `UserError` if it is missing."""
  # Not resolved: an environment's Python is a link to another.
  python = shutil.which(name)
  if python is None:
    raise UserError(
      f'--peers={name} is not there; python3 -m venv .peers && '
      f'.peers/bin/pip install -r {REQUIREMENTS} makes it.'
    )
  return os.path.abspath(python)


class Worker:
  """A process that is asked, or several that do a task together."""

  def __init__(self, name: str, *commands: list[str]):
    self._name = name
    # Why it failed, if it does.
    self._said = tempfile.TemporaryFile('w+')  # noqa: SIM115
    self._processes = [
      subprocess.Popen(
        words,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=self._said,
        text=True,
      )
      for words in commands
    ]

  def answer(self) -> float:
    """Returns the next number of an answer, the largest of the processes'."""
    return max(map(self._answer, self._processes))

  def ask(self, line: str) -> float:
    """Sends a line to all processes; returns the answer's number."""
    for process in self._processes:
      process.stdin.write(f'{line}\n')
      process.stdin.flush()
    return self.answer()

  def seconds(self, task: str, steps: int) -> float:
    """Returns the seconds that so many steps of a task take."""
    return self.ask(f'{task} {steps}')

  def _answer(self, process):
    for line in process.stdout:
      word, _, number = line.partition(' ')
      if word == serving.ANSWER:
        return float(number)
    self._said.seek(0)
    reason = self._said.read().strip().rpartition('\n')[2]
    words = shlex.join(process.args)
    raise UserError(f'{self._name} failed ({reason}); this shows more: {words}')

  def end(self) -> None:
    """Ends the processes."""
    for process in self._processes:
      process.kill()
      process.wait()
    self._said.close()


@contextlib.contextmanager
def started(
  commands: dict[str, list[list[str]]],
) -> Iterator[dict[str, Worker]]:
  """Starts workers by their commands; their networks must be equally large."""
  workers = {}
  try:
    for name, words in commands.items():
      workers[name] = Worker(name, *words)
    counts = {name: worker.answer() for name, worker in workers.items()}
    if len(set(counts.values())) > 1:
      raise UserError(f'the networks differ in their parameters: {counts}.')
    yield workers
  finally:
    for worker in workers.values():
      worker.end()


def times(
  workers: dict[str, Worker],
  tasks: Sequence[str],
  rounds: int,
  seconds: float,
) -> dict[str, dict[str, list[float]]]:
  """Times the steps of all tasks and workers.

  Args:
    workers: the workers by name, such as the library's.
    tasks: the names of what they are asked for.
    rounds: how often each is asked, in turn.
    seconds: about how long it works at a time.

  Returns:
    Seconds a step by task and worker, one number for each round.
  """
  counts, found = {}, {}
  turns = [(task, name) for task in tasks for name in workers]
  with progress.bar(total=len(turns) * (rounds + 1), unit='run') as bar:
    for task, name in turns:
      workers[name].seconds(task, 1)  # compiles
      taken = min(workers[name].seconds(task, 1) for _ in range(2))
      counts[task, name] = max(1, round(seconds / taken))
      bar.update()
    for _ in range(rounds):
      for task, name in turns:
        count = counts[task, name]
        taken = workers[name].seconds(task, count) / count
        found.setdefault(task, {}).setdefault(name, []).append(taken)
        bar.update()
  return found
