"""Trains a network a fold, and chooses on photos of cars that it never saw.

    python -m carvana_jax.crossval --config=configs/studio.py --workdir=runs/cv
    python -m carvana_jax.predict --workdir=runs/cv --tuned --input=photos \\
        --output=masks

The cars of the train and validation splits are grouped into --folds parts by
their ids. Run i, an ordinary one in WORKDIR/fold_i, validates on part i and
trains on the others; the test split is neither trained nor chosen on. So every
photo but the test split's is scored by the one network that has not seen its
car: WORKDIR/out_of_fold/images.csv. Flip, threshold and cleaning are those that
are best there; WORKDIR/crossval.json has them, and what the networks and the
mean of their logits reach on the test split. `predict` and `submit` take
WORKDIR for all of its networks, and with --tuned what was chosen.

--pseudo_labels adds a second stage: the first one's networks write their
probabilities of the unlabeled photos into WORKDIR/pseudo_labels, and
WORKDIR/stage2 cross-validates networks that are trained on these as well. Give
--config.data.unlabeled=True from the first call on if there may be a second
stage, as runs with other data are refused. The second stage's scores on the
test split are as independent as the first one's. Those out of fold are not
quite: the photos with pseudo-labels are of other cars, but all but one of the
networks that made them have seen the cars that a run of stage two validates on.
So the second stage's are to choose with, and its gain is that on the test
split.

Started again with the same command, it goes on where it was.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_string(
    'workdir', None, 'Where the runs are kept.', required=True
  )
  flags.DEFINE_integer(
    'folds', 5, 'How many networks.', lower_bound=2, upper_bound=9
  )
  flags.DEFINE_bool(
    'pseudo_labels',
    False,
    'Train again, on the unlabeled photos as well; needs '
    '--config.data.unlabeled=True.',
  )
  flags.DEFINE_bool(
    'save_probabilities',
    False,
    'Also write out_of_fold/NAME_probability.png, 0..255.',
  )
  cli.parse()
  malloc.keep_freed()

from carvana_jax.parallel import compilation_cache
from carvana_jax.system import files
from carvana_jax.training import loop
from carvana_jax.workflows import cross_validation


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  folder = files.absolute(args.workdir)
  loop.use_cores(args.config)
  compilation_cache.use()
  results = cross_validation.crossval(
    args.config, folder, args.folds, args.pseudo_labels, args.save_probabilities
  )
  print(cross_validation.results_text(results))
  print(f'written to {folder}')


if __name__ == '__main__':
  cli.run(main)
