"""Compares this project's masks of unseen cars with those of other removers.

    python -m benchmarks.peers --manual_dir=FOLDER --json=runs/peers.json

The test cars are cut out by rembg with u2netp, rembg with this project's
network inside, imgly's small model, and this project: the light library, and
what `predict` does with both networks and with the first one alone. Each runs
in a process of its own and gets some photos at a time, in turn with the others;
it reads a file and writes a file for each photo. All use the cores at hand, as
they do unless told otherwise. A mask's pixel is car from one half on.

How the others are installed stands in benchmarks/README.md, Removers.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string(
    'manual_dir', None, 'Unpacked folder of the Kaggle files.', required=True
  )
  flags.DEFINE_string(
    'weights', 'weights/carvana.safetensors', "This project's networks."
  )
  flags.DEFINE_string(
    'rembg', '.peers_rembg', "Environment with rembg; '': without it."
  )
  flags.DEFINE_string(
    'imgly', '.peers_imgly', "Folder with imgly's package; '': without it."
  )
  flags.DEFINE_integer(
    'every', 1, 'Takes every n-th photo of the test cars.', lower_bound=1
  )
  flags.DEFINE_integer('starts', 3, 'Of each process.', lower_bound=1)
  flags.DEFINE_string('json', '', "File for the figures; '': none.")
  cli.parse()

import contextlib
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks import input, whole_job, workers
from benchmarks.removers import installed
from benchmarks.removers.installed import Remover
from carvana_jax.datasets.carvana import verify
from carvana_jax.metrics import border, overlap
from carvana_jax.system import files, progress, threads
from carvana_jax.system.errors import UserError
from carvana_jax.training import provenance

# Whose masks should be another's, as the networks are the same.
TWINS = {
  installed.IN_REMBG: installed.FIRST,
  installed.REMOVER: installed.PREDICT,
}
BAND = 'dice_band_4'
_ROUND = 32  # photos; for each, `predict` traces its networks again
_ROW = '{:<20}{:>8}{:>8}{:>8}{:>9}{:>7}{:>7}{:>6}{:>7}'
_TITLES = (
  '', 'Dice', 'worst', 'border', 's/photo', 'ratio', 'CPU s', 'MB', 'first',
)  # fmt: skip
_FORMS = ('.4f', '.4f', '.4f', '.2f', '.1f', '.2f', '.1f', '.1f')
_NOTES = """\
border: Dice within 4 pixels of it; ratio: of seconds, to Remover's; CPU s: a
photo; first: seconds from the start of the process to the first mask"""

Pair = tuple[pathlib.Path, pathlib.Path]  # a photo and its true mask


class Times(NamedTuple):
  """What a remover took, in seconds."""

  starts: list[float]  # from each start of its process to the first mask
  seconds: list[float]  # a photo, in each round
  cpu_seconds: list[float]  # a photo, in each round


def rounds(folder: pathlib.Path, every: int) -> list[list[Pair]]:
  """Returns every n-th photo of the test cars, about `_ROUND` in a list."""
  pairs = whole_job.split(folder)['test'][::every]
  count = max(1, len(pairs) // _ROUND)
  return [
    pairs[i * len(pairs) // count : (i + 1) * len(pairs) // count]
    for i in range(count)
  ]


def measure(
  everyone: dict[str, Remover],
  groups: Sequence[Sequence[Pair]],
  starts: int,
  root: pathlib.Path,
) -> dict[str, Times]:
  """Lets all removers cut out all photos, in turn.

  Args:
    everyone: the removers by name.
    groups: the photos of each round.
    starts: how often each is started; the last time it goes on.
    root: an existing folder; the masks of a round go to NAME/ROUND in it.

  Returns:
    By name what each took.

  Raises:
    UserError: one of them failed.
  """
  for name, pairs in [('first', groups[0][:1]), *enumerate(groups)]:
    place = root / 'photos' / str(name)
    place.mkdir(parents=True)
    for photo, _ in pairs:
      (place / photo.name).symlink_to(photo)
  times = {name: Times([], [], []) for name in everyone}
  names, running = list(everyone), {}
  total = len(names) * (starts + len(groups))
  with (
    contextlib.ExitStack() as stack,
    progress.bar(total=total, unit='run') as bar,
  ):
    for turn in range(starts):
      for name in names:
        begun = time.perf_counter()
        running[name] = workers.Worker(name, everyone[name].words)
        stack.callback(running[name].end)
        _ask(running[name], root / 'photos/first', root / name / f'first{turn}')
        times[name].starts.append(time.perf_counter() - begun)
        if turn < starts - 1:
          running[name].end()
        bar.update()
    for number, pairs in enumerate(groups):
      first = number % len(names)  # another one begins each round
      for name in names[first:] + names[:first]:
        begun = time.perf_counter()
        used = _ask(
          running[name], root / f'photos/{number}', root / name / f'{number}'
        )
        seconds = time.perf_counter() - begun
        times[name].seconds.append(seconds / len(pairs))
        times[name].cpu_seconds.append(used / len(pairs))
        bar.update()
  return times


def _ask(worker, photos, masks):
  masks.mkdir(parents=True)
  return worker.ask(json.dumps({'input': str(photos), 'output': str(masks)}))


def scores(
  names: Sequence[str], groups: Sequence[Sequence[Pair]], root: pathlib.Path
) -> dict[str, list[dict[str, Any]]]:
  """Scores all masks.

  Args:
    names: of the removers.
    groups: the photos of each round.
    root: the folder that `measure` was given.

  Returns:
    By name a row for each photo: `photo`, `dice`, `dice_band_4`, and of those
    that have one in `TWINS`, `twin_dice`, Dice with its mask, and
    `twin_pixels`, how many pixels are different.

  Raises:
    UserError: a mask is missing, or is not of its photo's size.
  """
  found = {name: [] for name in names}
  photos = [(i, *pair) for i, pairs in enumerate(groups) for pair in pairs]
  for number, photo, true in progress.bar(
    photos, total=len(photos), unit='photo'
  ):
    actual = verify.decode_mask(true.read_bytes()) > 0
    masks = {
      name: _mask(root / name / f'{number}/{photo.stem}_mask.png', actual.shape)
      for name in names
    }
    for name, mask in masks.items():
      row = {
        'photo': photo.stem,
        'dice': overlap.mask_scores(mask, actual)['dice'],
        BAND: border.scores(border.mask_pair(mask, actual))[BAND],
      }
      if name in TWINS:
        twin = masks[TWINS[name]]
        row['twin_dice'] = overlap.mask_scores(mask, twin)['dice']
        row['twin_pixels'] = int(np.count_nonzero(mask != twin))
      found[name].append(row)
  return found


def _mask(path, shape):
  """Reads a mask of 8 bits or 1 as bool [H, W]."""
  if not path.exists():
    raise UserError(f'{path.parents[1].name} made no {path.name}.')
  with Image.open(path) as image:
    mask = np.asarray(image.convert('L')) > 127
  if mask.shape != shape:
    raise UserError(f'{path} is of {mask.shape} pixels, its photo of {shape}.')
  return mask


def summary(
  everyone: dict[str, Remover],
  times: dict[str, Times],
  rows: dict[str, list[dict[str, Any]]],
) -> dict[str, dict[str, float]]:
  """Returns what the table says of each remover, by name.

  Args:
    everyone: the removers by name.
    times: from `measure`.
    rows: from `scores`.
  """
  found = {}
  for name, remover in everyone.items():
    taken, dice = times[name], [row['dice'] for row in rows[name]]
    pairs = zip(taken.seconds, times[installed.REMOVER].seconds, strict=True)
    found[name] = {
      'dice': statistics.mean(dice),
      'worst': min(dice),
      'border': statistics.mean(row[BAND] for row in rows[name]),
      'seconds': statistics.median(taken.seconds),
      'ratio': statistics.median(theirs / ours for theirs, ours in pairs),
      'cpu_seconds': statistics.median(taken.cpu_seconds),
      'megabytes': remover.megabytes,
      'first': statistics.median(taken.starts),
    }
  return found


def table(
  found: dict[str, dict[str, float]], rows: dict[str, list[dict[str, Any]]]
) -> str:
  """Returns a line for each remover and each of `TWINS`, in 80 columns.

  Args:
    found: from `summary`.
    rows: from `scores`.
  """
  lines = [_ROW.format(*_TITLES)]
  for name, row in found.items():
    cells = [format(*pair) for pair in zip(row.values(), _FORMS, strict=True)]
    lines.append(_ROW.format(name, *cells))
  lines.append(_NOTES)
  for name, twin in TWINS.items():
    if name in rows:
      dice = statistics.mean(row['twin_dice'] for row in rows[name])
      pixels = sum(row['twin_pixels'] for row in rows[name])
      lines.append(
        f"{name}: Dice {dice:.5f} with the masks of '{twin}',\n"
        f'  in which {pixels:,} pixels are different'
      )
  return '\n'.join(lines)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  folder = input.unpacked(args.manual_dir)
  json_file = workers.output_file(args.json)
  installed.refuse_missing(args)
  groups = rounds(folder, args.every)
  with tempfile.TemporaryDirectory(prefix='peers_') as root:
    root = pathlib.Path(root)
    (root / 'rembg').mkdir()
    everyone = installed.removers(args, root / 'rembg')
    times = measure(everyone, groups, args.starts, root)
    rows = scores(list(everyone), groups, root)
  found = summary(everyone, times, rows)
  cores = threads.core_count()
  if json_file:
    record = {
      'commit': provenance.commit(),
      'cores': cores,
      'summary': found,
      'times': {name: x._asdict() for name, x in times.items()},
      'photos': rows,
    }
    files.write(json_file, json.dumps(record, indent=2) + '\n')
  count = sum(map(len, groups))
  print(f'{count} photos in {len(groups)} rounds, {cores} cores')
  print(table(found, rows))


if __name__ == '__main__':
  cli.run(main)
