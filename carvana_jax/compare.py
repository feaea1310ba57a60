"""Tells whether one run is better than another, or only luckier with its cars.

    python -m carvana_jax.compare RUN_A RUN_B
    python -m carvana_jax.compare runs/a runs/b --split=validation
    python -m carvana_jax.compare runs/a/evaluation/carvana-test \\
        runs/a/evaluation/carvana-test-fine

RUN_A and RUN_B are folders of runs that carvana_jax.evaluate has scored on the
same images at the same size; either may also be the folder of one evaluation.
Their Dice is compared image by image; a difference above 0 means that RUN_B is
better. The interval is from a bootstrap over cars.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string(
    'dataset',
    None,
    'The data set that both runs were scored on. Default: the one that the '
    'first of them trained on.',
  )
  flags.DEFINE_enum(
    'split',
    None,
    ['train', 'validation', 'test', 'all'],
    'The split that both runs were scored on. Default: test.',
  )
  cli.parse(words=('RUN_A', 'RUN_B'))

from carvana_jax.evaluation import comparison
from carvana_jax.system import files


def main(first: str, second: str) -> None:
  """Runs the command."""
  args = flags.FLAGS
  folders = comparison.evaluation_folders(
    [files.absolute(name) for name in (first, second)], args.dataset, args.split
  )
  rows, summaries = zip(*map(comparison.read, folders), strict=True)
  comparison.refuse_other_images(*rows)
  comparison.refuse_other_sizes(*summaries, (first, second))
  names = first[-40:], second[-40:]
  print(comparison.table(comparison.compare(*rows), names, summaries))


if __name__ == '__main__':
  cli.run(main)
