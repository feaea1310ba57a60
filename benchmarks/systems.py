"""Trains published systems one after the other under one budget.

    python -m benchmarks.systems --manual_dir=FOLDER --minutes=5
    python -m benchmarks.systems --manual_dir=FOLDER --epochs=2 \\
        --systems=cnn256,unet256 --size=128x128 --output=runs/systems128
    python -m benchmarks.systems --manual_dir=FOLDER \\
        --systems=tiny_unet128,median_cnn100

All are trained and scored on the same splits by car, as their configs say
except for the budget, if one is given, and without stopping early. Minutes are
those of training: compilation counts, validation does not, and the step under
way at the end is finished. Writes systems.md and systems.json to OUTPUT and
keeps the runs there; started again, it goes on with what is missing.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_list('systems', [], 'Names of configs. Default: all.')
  flags.DEFINE_float('minutes', 0, 'Training time of each.', lower_bound=0)
  flags.DEFINE_integer(
    'epochs', 0, 'Epochs of each. Default: as its config says.', lower_bound=0
  )
  flags.DEFINE_string('size', '', "HEIGHTxWIDTH; '': that of each config.")
  flags.DEFINE_string(
    'full_size', '', "HEIGHTxWIDTH of the scores; '': that of the data set."
  )
  flags.DEFINE_string('dataset', 'carvana', 'carvana or studio.')
  flags.DEFINE_string('data_dir', 'data', 'Where prepared data are kept.')
  flags.DEFINE_string('manual_dir', '', 'Folder of the Kaggle files.')
  flags.DEFINE_string('encoder_weights', 'random', 'File for vgg19_unet512.')
  flags.DEFINE_string('output', 'runs/systems', 'Folder for runs and tables.')
  cli.parse()

import json
import pathlib
import subprocess
import sys

from carvana_jax.datasets import input_pipeline, prepare
from carvana_jax.evaluation import at_network_size
from carvana_jax.models import layer_table
from carvana_jax.parallel import compilation_cache
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import provenance, run_folder, trained_run

ROOT = pathlib.Path(__file__).parents[1]
SYSTEMS = (
  'tiny_unet128',
  'tiny_unet512',
  'median_cnn100',
  'bn_unet128',
  'cnn256',
  'unet256',
  'vgg19_unet512',
)
# What the tables of one folder have in common.
_BUDGET = ('systems', 'minutes', 'epochs', 'size', 'full_size', 'dataset')
_COLUMNS = {
  'system': '{}',
  'size': '{}',
  'parameters': '{:,}',
  'epochs': '{:.1f}',
  'seconds': '{:.0f}',
  'Dice*': '{:.4f}',
  'Dice': '{:.4f}',
  'IoU': '{:.4f}',
  'accuracy': '{:.4f}',
  'ceiling': '{:.4f}',
}


def command(name: str, workdir: pathlib.Path, args) -> list[str]:
  """Returns the command that trains and scores a config within the budget."""
  words = [
    sys.executable, '-m', 'carvana_jax.main',
    f'--config=configs/{name}.py', f'--workdir={workdir}',
    f'--config.data.dataset={args.dataset}',
    f'--config.data.data_dir={args.data_dir}',
    f'--config.data.manual_dir={args.manual_dir}',
    f'--config.data.full_size={args.full_size}',
    '--config.train.patience=0',
  ]  # fmt: skip
  if args.minutes:
    # So many epochs that time is over first.
    words += [
      f'--config.train.max_minutes={args.minutes}',
      '--config.train.epochs=100000',
    ]
  elif args.epochs:
    words += [f'--config.train.epochs={args.epochs}']
  if args.size:
    words += [f'--config.data.size={args.size}']
  if name == 'vgg19_unet512':
    words += [f'--config.model.encoder_weights={args.encoder_weights}']
  return words


def measure(name: str, workdir: pathlib.Path) -> dict:
  """Returns what the table says of a trained system."""
  run = trained_run.load(workdir)
  config = run.config
  folder = run_folder.evaluation_folder(workdir, config.data.dataset, 'test')
  full = json.loads((folder / 'summary.json').read_text())
  if full['step'] != run.step:
    raise UserError(f'{name} was not trained to its end; start again.')
  data = input_pipeline.RunData.open(prepare.for_network(config.data), config)
  small = at_network_size.scores(run, data.builder, 'test')
  last = (workdir / 'metrics.jsonl').read_text().splitlines()[-1]
  last = json.loads(last)
  layers = layer_table.layers(run.model, prepare.input_shape(config.data))
  return {
    'system': name,
    'size': config.data.size,
    'parameters': sum(layer.parameters + layer.statistics for layer in layers),
    'epochs': last['step'] / data.steps_per_epoch,
    'seconds': last['train_seconds'],
    'Dice*': small['dice_at_network_size'],
    'Dice': full['dice_mean'],
    'IoU': full['iou_mean'],
    'accuracy': full['accuracy_mean'],
    'ceiling': full['ceiling_soft_mean'],
    'ceiling_hard': full['ceiling_hard_mean'],
    'full_size': full['size'],
    'images': full['images'],
    'cars': full['cars'],
  }


def markdown(rows: list[dict]) -> str:
  """Returns the table in Markdown, with what its columns mean."""
  lines = [list(_COLUMNS), ['---'] * len(_COLUMNS)]
  for row in rows:
    lines.append([form.format(row[key]) for key, form in _COLUMNS.items()])
  table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
  first = rows[0]
  return (
    f'{table}\n\n'
    f'Test split, {first["images"]} images of {first["cars"]} cars. Dice* at '
    "the network's size (of the crop, where there is one), Dice, IoU and "
    f'accuracy at {first["full_size"]}, holes filled where the config says so; '
    'ceiling: the Dice at that size of the true masks, area-averaged to the '
    "network's size.\n"
  )


def plain(rows: list[dict]) -> str:
  """Returns the table's numbers in 80 columns."""
  form = '{:14}{:>11}{:>7}{:>8}' + '{:>8}' * 5
  keys = [key for key in _COLUMNS if key != 'size']
  lines = [form.format(*keys).replace('accuracy', '    acc.')]
  for row in rows:
    lines.append(form.format(*(_COLUMNS[key].format(row[key]) for key in keys)))
  return '\n'.join(lines)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  args.systems = args.systems or list(SYSTEMS)
  if args.minutes and args.epochs:
    raise UserError('give either --minutes or --epochs.')
  for name in args.systems:
    if name not in SYSTEMS:
      raise UserError(
        f'--systems={name} is unknown; choose from {",".join(SYSTEMS)}.'
      )
  compilation_cache.use()
  output = files.absolute(args.output)
  record = {
    'budget': {name: args[name].value for name in _BUDGET},
    'commit': provenance.commit(),
    'systems': [],
  }
  _refuse_other_budget(output / 'systems.json', record['budget'])
  for name in args.systems:
    words = command(name, output / name, args)
    if subprocess.run(words, cwd=ROOT, check=False).returncode:
      raise UserError(f'{name} failed, see above; leave it out of --systems.')
    record['systems'].append(measure(name, output / name))
    # After every system, so that a table is there if a later one fails.
    files.write(output / 'systems.json', json.dumps(record, indent=2) + '\n')
    files.write(output / 'systems.md', markdown(record['systems']))
  print(plain(record['systems']))
  print(f'written to {output}/systems.md and systems.json')


def _refuse_other_budget(path, budget):
  if not path.exists():
    return
  there = json.loads(path.read_text())['budget']
  if there != budget:
    raise UserError(f'{path} is of {there}; choose another --output.')


if __name__ == '__main__':
  cli.run(main)
