"""Compares training steps and predictions with PyTorch and Keras, on the CPU.

    python -m benchmarks.step --json=FILE

Each network is built by this project, in PyTorch (in both its layouts; the
faster one counts) and in Keras on TensorFlow, with the same loss and
optimizer, and without dropout and augmentation. The four processes take turns,
so that a machine that gets slower does so for all. A ratio is the peer's
time over ours, the median over the rounds, and the better peer's counts: above
1 this project is faster.

PyTorch needs an environment of its own:

    python3 -m venv .peers
    .peers/bin/pip install -r benchmarks/frameworks/requirements.txt
"""

import importlib
import json
import statistics
import sys
from typing import NamedTuple

from absl import flags

from benchmarks import workers
from carvana_jax.system import cli, files
from carvana_jax.system.errors import UserError

OURS, KERAS = 'carvana_jax', 'Keras'
LAYOUTS = {
  'PyTorch': 'contiguous_format',
  'PyTorch, channels last': 'channels_last',
}
TASKS = ('train', 'infer')


class Case(NamedTuple):
  """A network at one size."""

  config: str  # of configs/
  height: int
  width: int
  batch: int  # images


CASES = {
  'tiny_unet128': Case('tiny_unet128', 128, 128, 16),
  'tiny_unet512': Case('tiny_unet512', 512, 512, 16),
  'bn_unet128': Case('bn_unet128', 128, 128, 16),
  # A step of the 16 that were published takes two minutes.
  'vgg19_unet512': Case('vgg19_unet512', 512, 512, 2),
  'studio': Case('studio', 128, 192, 16),
}


def commands(case: Case, peers: str) -> dict[str, list[list[str]]]:
  """Returns the command of each library's process, by the library's name.

  Args:
    case: the network.
    peers: the Python of the environment that has PyTorch.
  """
  module = importlib.import_module(f'carvana_jax.configs.{case.config}')
  model = module.get_config().model.to_json()
  sizes = [str(x) for x in case[1:]]
  here = [sys.executable, '-m']
  named = [case.config, *sizes]
  return {
    OURS: [[*here, 'benchmarks.own_step', *named]],
    **{
      name: [
        [peers, '-m', 'benchmarks.frameworks.torch_step', model, *sizes, layout]
      ]
      for name, layout in LAYOUTS.items()
    },
    KERAS: [[*here, 'benchmarks.frameworks.keras_step', *named]],
  }


def ratios(found: dict[str, list[float]]) -> list[float]:
  """Returns the better peer's time over ours in every round, sorted.

  The better peer is the one with the lower median of these.
  """
  own = found[OURS]
  by_peer = [
    sorted(a / b for a, b in zip(theirs, own, strict=True))
    for name, theirs in found.items()
    if name != OURS
  ]
  return min(by_peer, key=statistics.median)


def measure(name: str, peers: str, rounds: int, seconds: float) -> dict:
  """Measures a case; returns what the table says of it."""
  case = CASES[name]
  with workers.started(commands(case, peers)) as asked:
    found = workers.times(asked, TASKS, rounds, seconds)
  by_task = {task: ratios(found[task]) for task in TASKS}
  return {
    'case': name,
    **{f'ratio_{task}': statistics.median(by_task[task]) for task in TASKS},
    'ratios': by_task,
    'batch': case.batch,
    'seconds': found,  # a step, by task and library, one a round
    'images_per_second': {
      task: {
        library: case.batch / statistics.median(values)
        for library, values in found[task].items()
      }
      for task in TASKS
    },
  }


def table(rows: list[dict]) -> str:
  """Returns images a second by library, and the ratios, in 80 columns."""
  form = '{:14}{:6}{:>9}{:>9}{:>9}{:>9}{:>7}{:>16}'
  names = 'ours', 'PyTorch', 'ch. last', 'Keras', 'ratio', 'least to most'
  lines = [form.format('', '', *names)]
  for row in rows:
    for task in TASKS:
      rates = row['images_per_second'][task]
      shown = [f'{rates[name]:.2f}' for name in (OURS, *LAYOUTS, KERAS)]
      ratio = f'{row[f"ratio_{task}"]:.2f}'
      every = row['ratios'][task]
      span = f'{every[0]:.2f} to {every[-1]:.2f}'
      lines.append(form.format(row['case'], task, *shown, ratio, span))
  return '\n'.join(lines)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  for name in args.cases or ['']:
    if name not in CASES:
      raise UserError(
        f'--cases={name} is unknown; choose from {",".join(CASES)}.'
      )
  peers = workers.peers_python(args.peers)
  json_file = workers.output_file(args.json)
  rows = []
  for name in args.cases:
    rows.append(measure(name, peers, args.rounds, args.seconds))
    print(table(rows[-1:]), flush=True)
    if json_file:
      files.write(json_file, json.dumps(rows, indent=2) + '\n')
  print('\nimages a second, medians\n' + table(rows))


if __name__ == '__main__':
  flags.DEFINE_list('cases', list(CASES), 'Which ones, of CASES.')
  flags.DEFINE_integer('rounds', 7, 'How often each is timed.', lower_bound=1)
  flags.DEFINE_float('seconds', 3, 'How long at a time.', lower_bound=0)
  flags.DEFINE_string('peers', '.peers/bin/python', 'Python with PyTorch.')
  flags.DEFINE_string('json', '', 'File to write.')
  cli.run(main)
