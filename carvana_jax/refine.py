"""Trains a second network for the border of the first one's masks.

    python -m carvana_jax.refine --config=configs/fine.py --workdir=runs/fast
    python -m carvana_jax.predict --workdir=runs/fast --fine --input=photos \\
        --output=masks

Coarse to fine: the first network sees the whole photo, at a reduced size. The
second one sees tiles at the photo's own size where the first is in doubt, along
with what the first made of them and, with config.data.empty_studio, with how
they differ from the studio that the views of a car show together. The first
one's probabilities of all labelled photos, which decide where the tiles are, go
to WORKDIR/coarse; WORKDIR/fine is the run of the second network, an ordinary
run. Both are then scored together on the validation and the test split:
WORKDIR/evaluation/DATASET-SPLIT-fine.

A network is surer of photos that it was trained on than of others, so the
second one learns to trust it too much. Where time allows, give --probabilities
the folder of a run that was trained for a shorter time, or one of files
NAME_probability.png. What the second one then learns from goes to
WORKDIR/coarse_given.

Of the config's data section, the second network has only empty_studio and the
size of its tiles to itself; all else is as in the first run, but manual_dir and
data_dir may be given if the data have moved. The same command, given again,
goes on where it stopped.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  flags.DEFINE_string(
    'workdir', None, 'Folder of the first run.', required=True
  )
  flags.DEFINE_string(
    'probabilities',
    None,
    'Folder of a run, or of NAME_probability.png of all photos to train on, '
    "to learn from in place of the first network's own.",
  )
  cli.parse()
  malloc.keep_freed()

from carvana_jax.evaluation import evaluate_run
from carvana_jax.inference import second_network
from carvana_jax.parallel import compilation_cache
from carvana_jax.system import files
from carvana_jax.training import loop, network_file, trained_run
from carvana_jax.workflows import refinement


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  workdir = files.absolute(args.workdir)
  network_file.refuse(workdir)
  loop.use_cores(args.config)
  compilation_cache.use()
  run = trained_run.load(workdir)
  given = files.absolute(args.probabilities) if args.probabilities else None
  folder = second_network.probabilities_folder(workdir)
  if given:
    folder = second_network.given_folder(workdir)
  config = refinement.config_of(run, args.config, folder)
  refinement.refine(run, config, workdir, given)
  run = second_network.with_second_network(workdir, run)
  for split in ('validation', 'test'):
    evaluate_run.evaluate(run, config.data, split, workdir)


if __name__ == '__main__':
  cli.run(main)
