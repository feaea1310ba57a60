"""Writes the masks of photos, and the cars themselves.

    python -m carvana_jax.predict --input=photos --output=cars --cutout=png
    python -m carvana_jax.predict --workdir=runs/a --input=photos --output=masks
    python -m carvana_jax.predict --workdir=runs/a --input='in/*.jpg' \\
        --output=cars --cutout=png --trim
    python -m carvana_jax.predict --workdir=runs/a --input=photos.zip \\
        --output=cars --background=white --shadow=own

Without --workdir the networks that come along in weights/ are used, which know
cars as in the Carvana challenge.

For every JPG, PNG, WebP, TIFF, BMP, AVIF or (with pillow-heif) HEIC,
NAME_mask.png (1 bit) of the upright photo's size, and as asked for:
NAME_probability.png (0..255), NAME_cutout.png or .webp (the car with its
opacity), NAME_composite.jpg (the car on a background). A network that compares
the views of a car takes all photos of a car together, CAR_01.jpg to CAR_16.jpg;
one to sixteen of them will do. Several --workdir average their logits.

OUTPUT/doubt.csv lists the photos by how much the networks doubt their masks,
the most doubtful first; a line names three.

What is there already of the same photos is kept, so an interrupted command goes
on where it stopped; OUTPUT/settings.json and made_of.jsonl say how and of what.
Photos that can't be read are listed in OUTPUT/failed.csv, and the exit code is
then 1; if none can be read, it is 2. A JPG with a few wrong bytes may look
wrong; a line names it, and it is used, but under --strict.

Colours are converted to sRGB by a photo's or a background's ICC profile, and
what is written says that it is sRGB.
"""

from absl import flags

from carvana_jax.datasets import names
from carvana_jax.system import cli, common_flags, malloc

if __name__ == '__main__':
  common_flags.define_photos()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  flags.mark_flag_as_required('input')
  flags.DEFINE_string(
    'output', None, 'Folder for the masks; made if missing.', required=True
  )
  flags.DEFINE_bool(
    'save_probabilities', False, 'Also write NAME_probability.png, 0..255.'
  )
  flags.DEFINE_enum(
    'cutout', None, ['png', 'webp'], 'Also write NAME_cutout, with opacity.'
  )
  flags.DEFINE_bool('trim', False, 'Cut-outs end where the car ends.')
  flags.DEFINE_string(
    'background',
    None,
    'Also write NAME_composite.jpg on a colour (white, #00b900) or an image.',
  )
  flags.DEFINE_enum(
    'shadow',
    None,
    names.SHADOWS,
    "The composite's: the car's own (so by default), a synthetic one or none.",
  )
  cli.parse()
  malloc.keep_freed()

import sys

from carvana_jax.inference import finding, networks, outputs, predict_photos
from carvana_jax.parallel import compilation_cache, devices, shares
from carvana_jax.system import files


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  shares.use_own_gpus()
  devices.use_all_cores()
  compilation_cache.use()
  output = files.absolute(args.output)
  files.check_folder(output)
  share = shares.of_this_process(args.process_id, args.num_processes)
  wanted = outputs.parse_wanted(
    args.save_probabilities,
    args.cutout,
    args.trim,
    args.background,
    args.shadow,
  )
  found = finding.find(args.input, args.recursive, own=[output])
  nets = networks.load(args.workdir, args.tuned, args.fine)
  notes = {'input': str(files.absolute(args.input))}
  if not predict_photos.predict_share(
    nets, found, output, wanted, notes, share, args.strict
  ):
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
