"""Compares estimates of a mask's 1 - Dice, made without its truth, with it.

    python -m benchmarks.doubt --workdir=runs/fast --split=validation

The estimates look at a network's probabilities alone. Of each the table has
Spearman's correlation with the true 1 - Dice over the split's photos at full
size, and the mean true 1 - Dice of the tenth that it doubts the most.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  flags.DEFINE_enum(
    'split', 'validation', ['validation', 'test'], 'Of which photos.'
  )
  cli.parse()

import numpy as np

from carvana_jax.datasets import chosen_splits, folds, prepare
from carvana_jax.evaluation import scoring
from carvana_jax.inference.prediction import Prediction
from carvana_jax.masks import doubt, from_logits
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import files
from carvana_jax.training import trained_run

_HALF = from_logits.level_of(0.5)
_MARGINS = (8, 16, 32, 48, 64)  # levels


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  devices.use_all_cores()
  compilation_cache.use()
  run = trained_run.load(files.absolute(args.workdir))
  config = run.config.data
  builder = prepare.for_scoring(config)
  part = folds.select(builder, args.split, chosen_splits.of(config))
  rows = scoring.map_predictions(_row, [run], builder, part, args.split)
  wrong = np.array([row.pop('wrong') for row in rows])
  worst = max(1, len(rows) // 10)
  most = np.sort(wrong)[-worst:].mean()
  print(
    f'{len(rows)} photos, 1 - Dice {wrong.mean():.4f} in the mean, '
    f'{most:.4f} in the worst tenth'
  )
  print('| estimate | correlation | 1 - Dice of its worst tenth |')
  print('|---|---|---|')
  for name in rows[0]:
    guess = np.array([row[name] for row in rows])
    found = wrong[np.argsort(guess)[-worst:]].mean()
    print(f'| {name} | {_spearman(guess, wrong):.2f} | {found:.4f} |')


def _row(truth: scoring.Truth, prediction: Prediction) -> dict[str, float]:
  """Returns the true 1 - Dice of a photo, and the estimates."""
  levels = prediction.levels()
  mask = levels >= _HALF
  probability = from_logits.probabilities(levels).astype(np.float32) / 255
  unsure = np.minimum(probability, 1 - probability)
  return {
    'wrong': float(1 - scoring.dice_of(mask, truth.mask)),
    **{f'margin of {x / 16:g}': _margin(levels, x) for x in _MARGINS},
    'expected 1 - Dice': float(
      unsure.sum() / max(mask.sum() + probability.sum(), 1e-9)
    ),
    'doubt along the border': doubt.of(levels, mask, 0.5).vague,
  }


def _margin(levels, width):
  strict = np.count_nonzero(levels >= _HALF + width)
  generous = np.count_nonzero(levels >= _HALF - width)
  return (generous - strict) / max(generous + strict, 1)


def _spearman(first, second):
  ranks = [np.argsort(np.argsort(x)) for x in (first, second)]
  return np.corrcoef(*ranks)[0, 1]


if __name__ == '__main__':
  cli.run(main)
