"""Times `Remover` on one core, and compares its masks with `predict`'s.

    python -m benchmarks.remover --photos=KAGGLE/test --count=20

To be run alone, as it measures seconds. Masks are compared pixel by pixel; of
some millions one may lie so near the threshold that another order of sums
moves it across.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('photos', None, 'Folder of JPGs.', required=True)
  flags.DEFINE_integer('count', 20, 'How many, spread over all.', 1)
  flags.DEFINE_string(
    'weights', None, 'FILE.safetensors; default: those of the project.'
  )
  cli.parse()

import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import cv2
import numpy as np

from carvana_jax import Remover, UserError

_STARTS = 5
_START = """
import sys, time
start = time.perf_counter(), time.process_time()
from carvana_jax import Remover
imported = time.perf_counter(), time.process_time()
Remover(sys.argv[2] or None, threads=1)(sys.argv[1]).mask
ended = time.perf_counter(), time.process_time()
print(*(y - x for x, y in zip(start, imported)))
print(*(y - x for x, y in zip(imported, ended)))
"""


def main() -> None:
  """Prints the figures."""
  args = flags.FLAGS
  # Of this process and of those that it starts.
  os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
  paths = sorted(pathlib.Path(args.photos).expanduser().glob('*.jpg'))
  paths = paths[:: max(1, len(paths) // args.count)][: args.count]
  if not paths:
    raise UserError(f'{args.photos} holds no .jpg; give another --photos.')
  start(paths[0], args.weights)
  for name, fine in ('one network', False), ('both networks', None):
    seconds(name, Remover(args.weights, fine, threads=1), paths)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
  print(f'peak memory of this process: {peak:.0f} MiB')
  compare(paths, args.weights)


def start(path: pathlib.Path, weights: str | None) -> None:
  """Prints how long a fresh process takes, the median of some."""
  runs = []
  for _ in range(_STARTS):
    words = [sys.executable, '-c', _START, path.absolute()]
    words.append(weights or '')
    printed = subprocess.check_output(words, text=True)
    runs.append(np.array(printed.split(), float).reshape(2, 2))
  for name, (wall, cpu) in zip(
    ('import', 'first result after it'), np.median(runs, 0), strict=True
  ):
    print(f'{name}: {wall:.2f} s, of CPU {cpu:.2f} s')


def seconds(name: str, remover: Remover, paths: Sequence[pathlib.Path]) -> None:
  """Prints what a photo takes from its file to its mask."""
  remover(paths[0])  # memory is new, and has to be fetched
  wall, cpu = [], []
  for path in paths:
    before = time.perf_counter(), time.process_time()
    remover(path)
    wall.append(time.perf_counter() - before[0])
    cpu.append(time.process_time() - before[1])
  print(
    f'{name}: {statistics.median(wall):.3f} s a photo, of CPU '
    f'{statistics.median(cpu):.3f} s'
  )


def compare(paths: Sequence[pathlib.Path], weights: str | None) -> None:
  """Prints how many pixels of the masks differ from those of `predict`."""
  remover = Remover(weights)
  with tempfile.TemporaryDirectory() as folder:
    photos, masks = pathlib.Path(folder, 'in'), pathlib.Path(folder, 'out')
    photos.mkdir()
    for path in paths:
      (photos / path.name).symlink_to(path.absolute())
    words = [f'--input={photos}', f'--output={masks}']
    if weights:
      words += [f'--workdir={weights}', '--fine']
    subprocess.run(
      [sys.executable, '-m', 'carvana_jax.predict', *words],
      stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    differing = []
    for path in paths:
      found = remover(path).mask
      mask = cv2.imread(masks / f'{path.stem}_mask.png', cv2.IMREAD_GRAYSCALE)
      differing.append(np.count_nonzero((mask > 0) != found))
  print(
    f'{differing.count(0)} of {len(paths)} masks are those of predict; '
    f'{sum(differing)} of {found.size * len(paths)} pixels differ'
  )


if __name__ == '__main__':
  cli.run(main)
