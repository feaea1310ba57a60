"""Times commands to a mean Dice at full size on unseen real cars.

    python -m benchmarks.whole_job --manual_dir=FOLDER --json=FILE --plot=FILE

One run each, one after the other on the same cores: a config of this project,
system B in Keras as its author ran it, and a plain U-Net in PyTorch with an
ordinary DataLoader. All start from the original files and train on the cars of
this project's split. The clock runs from the start of the process: imports,
checking and packaging photos, compilation and training count. It stands still
while a contestant predicts the unseen photos and this process scores them:
logits are enlarged to the photos' size, and a pixel is car from probability one
half on. Contestants never see the masks of these photos, except for ours, which
validates itself after every epoch at its network's size, and that counts.

Keeps in OUTPUT what each contestant said (.log) and its scores (.json); started
again, it goes on with the contestants that are missing. PyTorch needs an
environment of its own, see benchmarks/step.py.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string(
    'manual_dir', None, 'Unpacked folder of the Kaggle files.', required=True
  )
  flags.DEFINE_string('name', 'fast', 'Of our config.')
  flags.DEFINE_float('minutes', 30, 'Of each contestant.', lower_bound=0)
  flags.DEFINE_float(
    'growth', 1.1, "From a peer's mark to its next, in time.", lower_bound=1
  )
  flags.DEFINE_string('peers', '.peers/bin/python', 'Python with PyTorch.')
  flags.DEFINE_string('torch_size', '256x384', 'HEIGHTxWIDTH in PyTorch.')
  flags.DEFINE_integer('torch_width', 32, 'First width in PyTorch.')
  flags.DEFINE_enum(
    'split', 'test', ['validation', 'test'], 'Shown; both are kept.'
  )
  flags.DEFINE_string('output', 'runs/whole_job', 'Folder for the scores.')
  flags.DEFINE_string('json', '', "File for the figures; '': none.")
  flags.DEFINE_string('plot', '', "PNG of the curves; '': none.")
  cli.parse()

import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import input, workers
from benchmarks.frameworks import marks
from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import verify
from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.system.threads import ordered_map
from carvana_jax.training import provenance

ROOT = pathlib.Path(__file__).parents[1]
OURS, KERAS, TORCH = 'carvana_jax', 'Keras', 'PyTorch'
LEVELS = (0.95, 0.97, 0.98, 0.985)  # mean Dice
UNSEEN = ('validation', 'test')
# What the curves of one folder have in common.
_SETTINGS = ('name', 'minutes', 'growth', 'torch_size', 'torch_width')
_TICKS = (10, 20, 50, 100, 200, 500, 1000, 2000)  # seconds
_ROW = '{:>12}' + '{:>14}' * 4


def split(
  folder: pathlib.Path,
) -> dict[str, list[tuple[pathlib.Path, pathlib.Path]]]:
  """Returns (photo, mask) of all labelled photos, by this project's splits.

  Raises:
    UserError: a split has no car, or a photo is not named CAR_VIEW.jpg.
  """
  found = {'train': [], 'validation': [], 'test': []}
  for photo in sorted((folder / 'train').glob('*.jpg')):
    mask = folder / 'train_masks' / f'{photo.stem}_mask.gif'
    place = spec.parse_photo(photo.stem)
    if place is None:
      raise UserError(f'{photo} is not named CAR_VIEW.jpg; remove it.')
    found[spec.split_of(place.car_id)].append((photo, mask))
  for name, pairs in found.items():
    if not pairs:
      raise UserError(f'{folder} has no {name} car; add cars.')
  return found


def commands(
  args: Any, folder: pathlib.Path, root: pathlib.Path
) -> dict[str, list[str]]:
  """Returns the command of each contestant, by name.

  Args:
    args: the flags.
    folder: the folder of the Kaggle files.
    root: an empty folder, where the job will be.
  """
  job = str(root / 'job.json')
  here = [sys.executable, '-m']
  peers = workers.peers_python(args.peers)
  size, width = args.torch_size, str(args.torch_width)
  return {
    OURS: [
      'env', f'JAX_COMPILATION_CACHE_DIR={root}/programs',
      *here, 'benchmarks.own_whole', job,
      f'--config=configs/{args.name}.py', f'--workdir={root}/run',
      '--config.data.dataset=carvana', f'--config.data.data_dir={root}/data',
      f'--config.data.manual_dir={folder}',
    ],
    KERAS: [*here, 'benchmarks.frameworks.keras_whole', job],
    TORCH: [peers, '-m', 'benchmarks.frameworks.torch_whole', job, size, width],
  }  # fmt: skip


def dice(logits: np.ndarray, actual: Sequence[np.ndarray]) -> np.ndarray:
  """Returns Dice of every photo at its full size.

  Args:
    logits: float32 [N, h, w] at a network's size.
    actual: N masks, bool [H, W].

  Returns:
    float64 [N].
  """

  def one(pair):
    small, mask = pair
    predicted = from_logits.enlarge(small, mask.shape) >= 0
    return overlap.mask_scores(predicted, mask)['dice']

  pairs = zip(logits, actual, strict=True)
  return np.array(list(ordered_map(one, pairs)))


def curve(
  name: str,
  words: list[str],
  root: pathlib.Path,
  job: dict,
  minutes: float,
  scored: Any,
  log: pathlib.Path,
) -> list[dict[str, float]]:
  """Runs a contestant until it ends or its time is over.

  Args:
    name: the contestant's name.
    words: its command.
    root: where `commands` expects the job.
    job: `growth`, `train` and `unseen`, see `frameworks.marks`.
    minutes: its time, which ends with the first mark after it.
    scored: returns the scores of a mark from its logits, float32 [N, h, w].
    log: the file for what else it prints.

  Returns:
    `seconds` and the scores of every mark.

  Raises:
    UserError: the contestant failed, or made no mark.
  """
  found, predictions = [], root / 'predictions.npy'
  job |= {'predictions': str(predictions), 'started': time.monotonic()}
  (root / 'job.json').write_text(json.dumps(job))
  with (
    log.open('w', buffering=1) as said,
    subprocess.Popen(
      words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
      stderr=said, text=True,
    ) as process,
  ):  # fmt: skip
    try:
      for line in process.stdout:
        said.write(line)
        word, _, seconds = line.partition(' ')
        if word != marks.MARK:
          continue
        mark = {'seconds': float(seconds)}
        mark |= scored(np.load(predictions, allow_pickle=False))
        found.append(mark)
        _tell(name, mark)
        if mark['seconds'] < 60 * minutes:
          process.stdin.write('\n')
          process.stdin.flush()
        else:
          process.stdin.close()
      process.wait()
    finally:
      process.kill()
  if process.returncode or not found:
    raise UserError(f'{name} failed or made no mark; see {log} for why.')
  return found


def _tell(name, mark):
  scores = ', '.join(f'{mark[x]:.4f} on {x}' for x in UNSEEN)
  print(f'{name:12}{mark["seconds"]:8.1f} s  {scores}', flush=True)


def reached(
  found: Sequence[dict[str, float]], level: float, split: str
) -> float | None:
  """Returns seconds to the first mark of at least this Dice, None if none."""
  times = (x['seconds'] for x in found if x[split] >= level)
  return next(times, None)


def rows(curves: dict[str, list[dict]], split: str) -> list[dict]:
  """Returns the seconds to each level, and the better peer's over ours.

  Args:
    curves: the marks by contestant.
    split: the split of the scores.
  """
  found = []
  for level in LEVELS:
    seconds = {x: reached(curves[x], level, split) for x in curves}
    ours, peers = seconds[OURS], [seconds[KERAS], seconds[TORCH]]
    better = min((x for x in peers if x is not None), default=None)
    known = None not in (ours, better)
    ratio = better / ours if known else None
    found.append({'level': level, 'seconds': seconds, 'ratio': ratio})
  return found


def table(curves: dict[str, list[dict]], split: str) -> str:
  """Returns the rows, and the best that each reached, in 68 columns."""
  names = (OURS, KERAS, TORCH)
  shown = lambda x, form: '-' if x is None else format(x, form)
  lines = [_ROW.format('mean Dice', *names, 'ratio')]
  for row in rows(curves, split):
    seconds = [shown(row['seconds'][x], '.1f') for x in names]
    ratio = shown(row['ratio'], '.2f')
    lines.append(_ROW.format(f'{row["level"]:.3f}', *seconds, ratio))
  best = [f'{max(x[split] for x in curves[name]):.4f}' for name in names]
  return '\n'.join([*lines, _ROW.format('best', *best, '')])


def plot(curves: dict[str, list[dict]], split: str) -> bytes:
  """Draws Dice over seconds; returns a PNG."""
  figure = Figure(figsize=(6, 4), dpi=120, layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for name, marks_ in curves.items():
    seconds = [x['seconds'] for x in marks_]
    axes.plot(seconds, [x[split] for x in marks_], marker='.', label=name)
  for level in LEVELS:
    axes.axhline(level, color='grey', linewidth=0.5, linestyle='--')
  axes.set_xscale('log')
  axes.set_xticks(_TICKS, map(str, _TICKS))
  axes.minorticks_off()
  axes.set_ylim(0.9, 1)
  axes.set_xlabel('seconds from the start of the command')
  axes.set_ylabel(f'mean Dice at full size, {split} cars')
  axes.grid(alpha=0.3)
  axes.legend(frameon=False, loc='upper left')
  axes.spines[['top', 'right']].set_visible(False)
  stream = io.BytesIO()
  figure.savefig(stream, format='png')
  return stream.getvalue()


def scorer(pairs: dict[str, list[tuple[pathlib.Path, pathlib.Path]]]) -> Any:
  """Returns a function from all logits to each unseen split's mean Dice."""
  masks = [mask for name in UNSEEN for _, mask in pairs[name]]
  load = lambda path: verify.decode_mask(path.read_bytes()) > 0
  actual = list(ordered_map(load, masks))
  first = len(pairs[UNSEEN[0]])

  def scored(logits):
    by_photo = dice(logits, actual)
    means = by_photo[:first].mean(), by_photo[first:].mean()
    return dict(zip(UNSEEN, map(float, means), strict=True))

  return scored


def measure(
  args: Any, folder: pathlib.Path, output: pathlib.Path
) -> dict[str, list[dict]]:
  """Returns the curves of all contestants; runs those that `output` lacks.

  Args:
    args: the flags.
    folder: the folder of the Kaggle files.
    output: the folder for the curves, made if missing.

  Raises:
    UserError: a contestant failed, or `output` has curves of other settings.
  """
  pairs = split(folder)
  settings = {name: getattr(args, name) for name in _SETTINGS}
  settings['photos'] = {name: len(found) for name, found in pairs.items()}
  paths = {name: output / f'{name}.json' for name in (OURS, KERAS, TORCH)}
  for path in paths.values():
    if (
      path.exists() and (there := files.read_json(path)['settings']) != settings
    ):
      raise UserError(f'{path} is of {there}; choose another --output.')
  output.mkdir(parents=True, exist_ok=True)
  job = {
    'growth': args.growth,
    'train': [list(map(str, pair)) for pair in pairs['train']],
    'unseen': [str(photo) for name in UNSEEN for photo, _ in pairs[name]],
  }
  missing = [name for name, path in paths.items() if not path.exists()]
  if missing:
    scored = scorer(pairs)
    for path in (x for found in pairs.values() for pair in found for x in pair):
      path.read_bytes()  # into the page cache, for the first as for the others
  for name in missing:
    with tempfile.TemporaryDirectory(dir=output) as root:
      root = pathlib.Path(root)
      words = commands(args, folder, root)[name]
      log = output / f'{name}.log'
      found = curve(name, words, root, job, args.minutes, scored, log)
    record = {
      'settings': settings,
      'commit': provenance.commit(),
      'curve': found,
    }
    files.write(paths[name], json.dumps(record, indent=2) + '\n')
  return {name: files.read_json(path)['curve'] for name, path in paths.items()}


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  folder = input.unpacked(args.manual_dir)
  workers.peers_python(args.peers)
  if not (ROOT / 'configs' / f'{args.name}.py').exists():
    raise UserError(
      f'--name={args.name} is no file of configs/; try --name=studio.'
    )
  json_file = workers.output_file(args.json)
  plot_file = workers.output_file(args.plot, '--plot')
  curves = measure(args, folder, pathlib.Path(args.output).absolute())
  if json_file:
    record = {name: getattr(args, name) for name in _SETTINGS}
    record |= {
      'levels': {name: rows(curves, name) for name in UNSEEN},
      'curves': curves,
    }
    files.write(json_file, json.dumps(record, indent=2) + '\n')
  if plot_file:
    files.write(plot_file, plot(curves, args.split))
  print(f'seconds to a mean Dice on the {args.split} cars')
  print(table(curves, args.split))


if __name__ == '__main__':
  cli.run(main)
