"""Scores a finished run at full size, image by image.

    python -m carvana_jax.evaluate --workdir=runs/studio
    python -m carvana_jax.evaluate --workdir=runs/a --split=validation
    python -m carvana_jax.evaluate --workdir=runs/a --dataset=carvana \\
        --manual_dir=FOLDER --split=all
    python -m carvana_jax.evaluate --workdir=runs/a --dataset=folder \\
        --manual_dir=FOLDER --split=all
    python -m carvana_jax.evaluate --workdir=weights/carvana.safetensors \\
        --fine --manual_dir=FOLDER --output=scores
    python -m carvana_jax.evaluate --workdir=runs/studio --at_network_size

Photos are reduced to the network's size, its logits enlarged to the full size
of the data set, for a folder of own photos to each photo's own, and the masks
compared with the full-size ones. Writes
WORKDIR/evaluation/DATASET-SPLIT/summary.json, images.csv (from worst to best),
groups.csv (by view, make, body colour and body; of own photos by group, view
and colour) and errors.csv (wrong pixels by distance from the border); with
--flip against the config, DATASET-SPLIT-flip, with --fine, DATASET-SPLIT-fine.
With --output=FOLDER they are written to FOLDER/evaluation/ instead. The results
of a .safetensors file, which has no folder, are written only there.
With --at_network_size loss, Dice, IoU and accuracy are those of the reduced
photos, as published systems report them, with soft Dice and IoU beside them;
they are written to DATASET-SPLIT-network_size/summary.json.
The splits train and validation are of the cars that the run's config trains and
validates on. An evaluation of the validation split finds the best threshold and
cleaning of masks, which later ones of the test split apply, too.
"""

from absl import flags

from carvana_jax.datasets import names
from carvana_jax.system import cli, common_flags, malloc

if __name__ == '__main__':
  flags.DEFINE_string(
    'workdir',
    None,
    'Folder of the run, or a .safetensors file of export.',
    required=True,
  )
  flags.DEFINE_string(
    'output',
    None,
    'Folder for the results. Default: that of the run; those of a .safetensors '
    'file are printed only.',
  )
  flags.DEFINE_enum(
    'dataset',
    None,
    list(names.FULL_SIZES),
    'Scored at its own full size. Default: the one that the run trained on.',
  )
  flags.DEFINE_enum(
    'split',
    'test',
    ['train', 'validation', 'test', 'all'],
    'The images to score; all are all labelled ones.',
  )
  flags.DEFINE_string(
    'manual_dir',
    None,
    'Folder of the Kaggle files, or of your own photos and masks.',
  )
  flags.DEFINE_bool(
    'flip', None, 'Average with the mirrored photo. Default: as the config.'
  )
  flags.DEFINE_bool(
    'fine', False, 'Also use the second network that refine has trained.'
  )
  flags.DEFINE_bool(
    'at_network_size',
    False,
    "Score at the network's own size, as published systems do.",
  )
  common_flags.define_folder()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  cli.parse()
  malloc.keep_freed()

from carvana_jax.evaluation import at_network_size, evaluate_run
from carvana_jax.inference import second_network
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import network_file, trained_run


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  if args.at_network_size:
    common_flags.refuse_beside('at_network_size', 'flip', 'fine')
  workdir = files.absolute(args.workdir)
  devices.use_all_cores()
  compilation_cache.use()
  output = None if network_file.is_one(workdir) else workdir
  if args.output:
    output = files.absolute(args.output)
    files.check_folder(output)
  run = trained_run.load(workdir)
  if args.fine:
    run = second_network.with_second_network(workdir, run)
  evaluate_run.choose_data(
    run.config.data,
    args.dataset,
    args.manual_dir,
    common_flags.folder_options(),
  )
  changed_flip = None
  if args.flip not in (None, run.config.eval.flip):
    run.config.eval.flip = args.flip
    changed_flip = args.flip
  try:
    if args.at_network_size:
      at_network_size.evaluate(run, run.config.data, args.split, output)
    else:
      evaluate_run.evaluate(
        run, run.config.data, args.split, output, changed_flip
      )
  except UserError as error:
    raise UserError(common_flags.in_flags(str(error))) from error


if __name__ == '__main__':
  cli.run(main)
