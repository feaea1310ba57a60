"""Times `main` on real cars to masks of a given Dice, and on to its end.

    python -m benchmarks.gpu_whole --name=fast --size=512x768 \\
        --epochs=30 --manual_dir=FOLDER --workdir=runs/a --json=FILE

As benchmarks/whole_job.py does it for ours, but on prepared data: the clock
runs from the start of the process and stands still while the unseen photos are
predicted and scored at full size after each epoch. Then come the run's own
scores at full size.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('name', None, 'Of a config.', required=True)
  flags.DEFINE_integer('epochs', None, 'Of the run.', required=True)
  flags.DEFINE_string('size', None, 'HEIGHTxWIDTH.', required=True)
  flags.DEFINE_string(
    'manual_dir', None, 'Unpacked folder of the Kaggle files.', required=True
  )
  flags.DEFINE_string('data_dir', 'data', 'Where prepared data are kept.')
  flags.DEFINE_string('workdir', None, 'Of the run.', required=True)
  flags.DEFINE_string('json', None, 'File for the figures.', required=True)
  cli.parse()

import json
import math
import pathlib
import statistics
import sys
import time

from benchmarks import input, whole_job, workers
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import run_folder

LEVELS = (0.98, 0.99, 0.995)  # mean Dice
_SHOWN = 2000  # characters of the end of what a run that failed printed


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  folder = input.unpacked(args.manual_dir)
  json_file = workers.output_file(args.json)
  workdir = files.absolute(args.workdir)
  root = workdir.parent
  root.mkdir(parents=True, exist_ok=True)
  words = [
    sys.executable, '-m', 'benchmarks.own_whole', str(root / 'job.json'),
    f'--config=configs/{args.name}.py', f'--workdir={workdir}',
    f'--config.data.data_dir={files.absolute(args.data_dir)}',
    f'--config.data.manual_dir={folder}', '--config.data.dataset=carvana',
    f'--config.data.size={args.size}', '--config.data.full_size=',
    f'--config.train.epochs={args.epochs}',
  ]  # fmt: skip
  pairs = whole_job.split(folder)
  job = {
    'growth': math.inf,  # after epochs only, as steps are timed
    'train': [],
    'unseen': [str(x) for name in whole_job.UNSEEN for x, _ in pairs[name]],
  }
  score, marks = whole_job.scorer(pairs), []

  def scored(logits):
    mark = score(logits)
    # Whatever was reached is told even if the run is killed.
    marks.append(mark | {'with_scoring_s': time.monotonic() - begun})
    files.write(json_file, json.dumps({'curve': marks}, indent=2) + '\n')
    return mark

  begun, log = time.monotonic(), json_file.with_suffix('.main.log')
  try:
    found = whole_job.curve('main', words, root, job, math.inf, scored, log)
  except UserError:
    print(log.read_text()[-_SHOWN:])
    raise
  record = {
    'photos': {name: len(x) for name, x in pairs.items()},
    'with_scoring_s': time.monotonic() - begun,
    **figures(found, workdir),
  }
  files.write(json_file, json.dumps(record, indent=2) + '\n')


def figures(found: list[dict], workdir: pathlib.Path) -> dict:
  """Returns what is said of a run that has ended.

  Args:
    found: what `whole_job.curve` returned.
    workdir: the run's folder.
  """
  epochs = run_folder.read_metrics(workdir)
  waits = [x['input_wait'] for x in epochs[1:] or epochs]  # the first compiles
  record = {
    'epochs': len(epochs),
    'train_s': epochs[-1]['train_seconds'],
    'images_per_second': epochs[-1]['images_per_second'],
    'input_wait': statistics.median(waits),
    'first_mark_s': found[0]['seconds'],
    'last_mark_s': found[-1]['seconds'],
    'curve': found,
  }
  for split in whole_job.UNSEEN:
    record[f'seconds_to_{split}'] = {
      str(level): whole_job.reached(found, level, split) for level in LEVELS
    }
    (path,) = workdir.glob(f'evaluation/*-{split}/summary.json')
    record[f'dice_{split}'] = files.read_json(path)['dice_mean']
  return record


if __name__ == '__main__':
  cli.run(main)
