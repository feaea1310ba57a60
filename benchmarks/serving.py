"""Measures the server: speed beside `predict`, memory, odd requests, kills.

    python -m benchmarks.serving --input=photos
    python -m benchmarks.serving --input=photos --parts=speed --nofine
    python -m benchmarks.serving --input=photos --workdir=runs/a --fine
    python -m benchmarks.serving --parts=memory,malformed,kill

Starts `python -m carvana_jax.serve` on a free port of this machine, and asks it
from this process, all connections at the same time:

- speed: masks a second, and CPU seconds a mask, beside those of `predict` of
  the same photos, one after the other and twice; with the first network alone
  and with both. Of both without their start, and a fifth of the photos.
- memory: small photos of many sizes to all paths, of which some are damaged;
  what the server holds after a tenth of them, and after all.
- malformed: bodies that are cut, changed, of other kinds, too large, slow, of
  wrong lengths, or left half-way. None may be answered with 500.
- kill: kills the server while it works, starts it again at the same port, and
  waits for an answer.

The latter three are about all that goes on around networks, and are done with
one of a single line. The exit code is 1 if a goal is missed.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_list(
    'parts', ['speed', 'memory', 'malformed', 'kill'], 'Which parts.'
  )
  flags.DEFINE_string('input', None, 'Folder of photos, for speed.')
  flags.DEFINE_string(
    'workdir', None, 'As of serve and predict; default: what comes along.'
  )
  flags.DEFINE_bool(
    'fine', None, 'For speed: one of both ways only, with two networks or one.'
  )
  flags.DEFINE_integer('photos', 100, 'For speed: how many, at least 20.', 20)
  flags.DEFINE_integer('requests', 10_000, 'For memory: how many.', 100)
  flags.DEFINE_integer('bodies', 1000, 'Malformed ones: how many.', 1)
  flags.DEFINE_integer('kills', 5, 'How many.', 1)
  flags.DEFINE_integer('connections', 4, 'At the same time.', 1)
  cli.parse()

import collections
import contextlib
import http.client
import io
import itertools
import pathlib
import queue
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import psutil
from PIL import Image

from benchmarks import bright_network, malformed_bodies, predict
from carvana_jax.inference import finding
from carvana_jax.system import progress
from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
_GOAL = 0.9  # of predict's masks a second
_MOST_GROWTH = 20  # MB
_MOST_RESTART = 5  # seconds
_LEFT_OUT = 0.2  # of the photos, while caches fill
_TURNS = 2


class Server:
  """A running server.

  Attributes:
    port: where it listens.
    process: to look at, or to kill.
  """

  def __init__(self, *options: str, port: int = 0):
    """Starts the server, and waits until it answers.

    Args:
      *options: flags of `serve`.
      port: 0: any that is free.
    """
    words = [sys.executable, '-m', 'carvana_jax.serve', f'--port={port}']
    self._popen = subprocess.Popen(
      [*words, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    # What an export of a run says comes before.
    for line in self._popen.stdout:
      if found := re.search(r':(\d+) waits', line):
        self.port = int(found[1])
        break
    else:
      raise UserError('serve failed, see above; mend it.')
    self.process = psutil.Process(self._popen.pid)

  def __enter__(self) -> 'Server':
    return self

  def __exit__(self, *_) -> None:
    """Ends it as it should be ended."""
    self._popen.terminate()
    try:
      code = self._popen.wait(60)
    finally:
      self._popen.kill()
    if code:
      raise UserError(f'serve ended with exit code {code}; mend it.')

  def kill(self) -> None:
    """Ends it as a lack of memory would."""
    self._popen.kill()
    self._popen.wait()

  def megabytes(self) -> float:
    """Returns the memory that it holds."""
    return self.process.memory_info().rss / 1e6

  def cpu_seconds(self) -> float:
    """Returns the CPU's time that it has taken."""
    used = self.process.cpu_times()
    return used.user + used.system


class Speed(NamedTuple):
  """How fast photos became masks."""

  rate: float  # masks a second
  cpu: float  # CPU seconds a mask
  seconds: tuple[float, ...] = ()  # from each request to its answer


def of_server(
  server: Server, files: list[pathlib.Path], connections: int
) -> Speed:
  """Measures how fast the server makes masks."""
  data = [x.read_bytes() for x in files]
  first = int(_LEFT_OUT * len(data))
  ask_all(server.port, (('/mask', x) for x in data[:first]), connections)
  begun, cpu = time.perf_counter(), server.cpu_seconds()
  answers = ask_all(
    server.port, (('/mask', x) for x in data[first:]), connections
  )
  taken = time.perf_counter() - begun
  wrong = {status for status, _ in answers} - {200}
  if wrong:
    raise UserError(f'the server answered {wrong}; look at its log.')
  count = len(answers)
  return Speed(
    count / taken,
    (server.cpu_seconds() - cpu) / count,
    tuple(seconds for _, seconds in answers),
  )


def of_predict(
  files: list[pathlib.Path], options: list[str], folder: pathlib.Path
) -> Speed:
  """Measures how fast `predict` makes masks.

  Args:
    files: the photos.
    options: flags of `predict`.
    folder: an empty one.

  Returns:
    What all photos take longer than a part of them, so without its start.
  """
  first = files[: int(_LEFT_OUT * len(files))]
  few, many = (_take(x, options, folder / str(len(x))) for x in (first, files))
  count = len(files) - len(first)
  seconds, cpu = np.subtract(many, few) / count
  return Speed(1 / seconds, cpu)


def _take(files, options, folder):
  """Seconds and CPU seconds that a call of `predict` takes, with its start."""
  folder.mkdir()
  photos = folder / 'photos'
  photos.mkdir()
  for file in files:
    (photos / file.name).symlink_to(file)
  words = [sys.executable, '-m', 'carvana_jax.predict', f'--input={photos}']
  begun, before = time.perf_counter(), _cpu_of_children()
  done = subprocess.run(
    [*words, f'--output={folder / "masks"}', *options],
    cwd=ROOT,
    stdout=subprocess.DEVNULL,
    check=False,
  )
  if done.returncode:
    raise UserError('predict failed, see above; mend it.')
  return time.perf_counter() - begun, _cpu_of_children() - before


def _cpu_of_children():
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


def ask_all(
  port: int, requests: Iterable[tuple[str, bytes]], connections: int
) -> list[tuple[int, float]]:
  """Sends photos over several connections, each of which is kept.

  Args:
    port: of the server.
    requests: path and body of each; they are taken as they are needed.
    connections: how many there are at the same time.

  Returns:
    The status of each answer, and the seconds that it took, in any order.
  """
  waiting, answers = queue.Queue(connections), []

  def ask():
    kept = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    with contextlib.closing(kept):
      while (request := waiting.get()) is not None:
        begun = time.perf_counter()
        kept.request('POST', request[0], request[1])
        with kept.getresponse() as response:
          response.read()
        answers.append((response.status, time.perf_counter() - begun))

  asking = [
    threading.Thread(target=ask, daemon=True) for _ in range(connections)
  ]
  for thread in asking:
    thread.start()
  for request in itertools.chain(requests, [None] * connections):
    while True:
      if not any(thread.is_alive() for thread in asking):
        raise UserError('the server is gone; see what it said.')
      with contextlib.suppress(queue.Full):
        waiting.put(request, timeout=1)
        break
  for thread in asking:
    thread.join()
  return answers


def small_photos(count: int) -> Iterator[tuple[str, bytes]]:
  """Yields paths and photos of many sizes and kinds, one in fifty damaged."""
  rng = np.random.default_rng(0)
  photos = []
  for kind in ('JPEG', 'PNG', 'WEBP'):
    for _ in range(20):
      height, width = rng.integers(16, 200, 2)
      pixels = np.zeros((height, width, 3), np.uint8)
      pixels[height // 4 :, : width // 2] = rng.integers(150, 255, 3)
      stream = io.BytesIO()
      Image.fromarray(pixels).save(stream, kind)
      photos.append(stream.getvalue())
  paths = (
    '/mask', '/cutout', '/cutout?format=webp&trim=1', '/composite',
    '/probability', '/levels',
  )  # fmt: skip
  for number in range(count):
    data = photos[rng.integers(len(photos))]
    yield paths[number % len(paths)], data if number % 50 else data[:-30]


def measure_speed(args, folder: pathlib.Path) -> bool:
  """Prints how fast server and `predict` are; returns whether it's enough."""
  if args.input is None:
    raise UserError('--parts=speed needs --input, a folder of photos.')
  found = finding.find(args.input)
  many = predict.link(found, folder / 'photos', args.photos)
  files = sorted(many.iterdir())
  print(f'{"":24}masks/s  CPU s a mask  p50 s  p99 s  MB', flush=True)
  good = True
  for fine in (False, True) if args.fine is None else (args.fine,):
    options = [f'--{"" if fine else "no"}fine']
    if args.workdir:
      options.append(f'--workdir={args.workdir}')
    ours, theirs = [], []
    for turn in range(_TURNS):
      aside = folder / f'{fine}_{turn}'
      aside.mkdir()
      name = 'both' if fine else 'first'
      theirs.append(of_predict(files, options, aside))
      print(_row(f'predict, {name}', theirs[-1]), flush=True)
      with Server(*options) as server:
        ours.append(of_server(server, files, args.connections))
        held = f'{server.megabytes():5.0f}'
      print(_row(f'serve, {name}', ours[-1]), held, flush=True)
    ratio = max(x.rate for x in ours) / max(x.rate for x in theirs)
    spent = min(x.cpu for x in theirs) / min(x.cpu for x in ours)
    print(
      f'{name}: {ratio:.2f} of the masks a second of predict (goal: {_GOAL}), '
      f'{spent:.2f} by CPU seconds',
      flush=True,
    )
    good &= ratio >= _GOAL
  return good


def _row(name, speed):
  text = f'{name:24}{speed.rate:7.2f}{speed.cpu:14.3f}'
  if not speed.seconds:
    return text
  p50, p99 = np.percentile(speed.seconds, (50, 99))
  return f'{text}{p50:7.3f}{p99:7.3f}'


def measure_memory(args, folder: pathlib.Path) -> bool:
  """Prints what the server holds early and late; returns whether it's flat."""
  with Server(*_bright(folder)) as server:
    steps, held = 10, []
    requests = small_photos(args.requests)
    statuses = collections.Counter()
    begun = time.perf_counter()
    with progress.bar(total=args.requests, unit='request') as bar:
      for _ in range(steps):
        some = itertools.islice(requests, args.requests // steps)
        answers = ask_all(server.port, some, args.connections)
        statuses.update(status for status, _ in answers)
        held.append(server.megabytes())
        bar.update(len(answers))
    taken = time.perf_counter() - begun
  print(
    f'{sum(statuses.values()):,} requests, '
    f'{sum(statuses.values()) / taken:.0f}/s, answered {dict(statuses)}'
  )
  growth = held[-1] - held[0]
  print(
    f'memory: {held[0]:.0f} MB after a tenth, {held[-1]:.0f} MB after all: '
    f'{growth:+.1f} MB (goal: under {_MOST_GROWTH})',
    flush=True,
  )
  return growth < _MOST_GROWTH and set(statuses) <= {200, 422}


def measure_malformed(args, folder: pathlib.Path) -> bool:
  """Prints what malformed requests get; returns whether it is never 500."""
  statuses, slow = collections.Counter(), []
  with Server(*_bright(folder), '--timeout=1', '--queue=64') as server:
    # All at once, as each takes as long as the server lets it.
    for parts in malformed_bodies.slow():
      thread = threading.Thread(
        target=lambda parts=parts: statuses.update(
          [_status(server.port, parts)]
        ),
        daemon=True,
      )
      thread.start()
      slow.append(thread)
    with progress.bar(total=args.bodies, unit='body') as bar:
      for parts in malformed_bodies.quick(args.bodies - len(slow)):
        statuses[_status(server.port, parts)] += 1
        bar.update()
      for thread in slow:
        thread.join()
        bar.update()
    lives = ask_all(server.port, small_photos(2), 1)[-1][0]
  names = {str(x): count for x, count in sorted(statuses.items(), key=str)}
  print(f'{args.bodies} malformed requests, answered {names}')
  print(f'and then a photo: {lives}', flush=True)
  return lives == 200 and 500 not in statuses


def _status(port, parts):
  """Sends bytes, and returns the answer's status, or 'none'."""
  answer = b''
  with (
    contextlib.suppress(ConnectionError),
    socket.create_connection(('127.0.0.1', port), timeout=30) as connection,
  ):
    for part in parts:
      connection.sendall(part)
    if parts[-1] != malformed_bodies.GONE:
      answer = connection.recv(1 << 16)
  found = re.match(rb'HTTP/1.1 (\d+) ', answer)
  return int(found[1]) if found else 'none'


def measure_kills(args, folder: pathlib.Path) -> bool:
  """Prints how soon it answers after a kill; returns whether soon enough."""
  rng, taken = np.random.default_rng(0), []
  photos = list(small_photos(200))[1:50]
  server = Server(*_bright(folder))
  for _ in range(args.kills):
    port = server.port
    asking = threading.Thread(
      target=_ask_until_gone, args=(port, photos), daemon=True
    )
    asking.start()
    time.sleep(rng.uniform(0, 0.5))
    server.kill()
    begun = time.perf_counter()
    server = Server(*_bright(folder), port=port)
    answers = ask_all(port, photos[:1], 1)
    taken.append(time.perf_counter() - begun)
    asking.join()
    assert answers[0][0] == 200, answers
  with server:  # ends it
    pass
  print(
    f'killed {args.kills} times at work; it answered again after '
    f'{max(taken):.1f} s at most (goal: {_MOST_RESTART})',
    flush=True,
  )
  return max(taken) < _MOST_RESTART


def _ask_until_gone(port, photos):
  kept = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
  with contextlib.suppress(OSError, http.client.HTTPException):
    for path, data in itertools.cycle(photos):
      kept.request('POST', path, data)
      kept.getresponse().read()


def _bright(folder):
  path = folder / 'bright.onnx'
  if not path.exists():
    bright_network.write(path)
  return [f'--workdir={path}']


_MEASURES: dict[str, Callable] = {
  'speed': measure_speed,
  'memory': measure_memory,
  'malformed': measure_malformed,
  'kill': measure_kills,
}


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  for part in args.parts:
    if part not in _MEASURES:
      raise UserError(f'--parts={part}: choose from {", ".join(_MEASURES)}.')
  with tempfile.TemporaryDirectory() as folder:
    good = [_MEASURES[x](args, pathlib.Path(folder)) for x in args.parts]
  if not all(good):
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
