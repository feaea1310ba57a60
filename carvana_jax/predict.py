"""Writes the masks of photos, and the cars themselves.

    python -m carvana_jax.predict --workdir=runs/a --input=photos --output=masks
    python -m carvana_jax.predict --workdir=runs/a --input='in/*.jpg' \\
        --output=cars --cutout=png --trim
    python -m carvana_jax.predict --workdir=runs/a --input=photos.zip \\
        --output=cars --background=white --shadow=own

For every JPG, PNG or WebP, NAME_mask.png (1 bit) of the upright photo's size,
and as asked for: NAME_probability.png (0..255), NAME_cutout.png or .webp (the
car with its opacity), NAME_composite.jpg (the car on a background). A network
that compares the views of a car takes all photos of a car together, CAR_01.jpg
to CAR_16.jpg; one to sixteen of them will do. Several --workdir average their
logits.

What is there already is kept, so an interrupted command goes on where it
stopped; OUTPUT/settings.json says how it was made. Photos that can't be read
are listed in OUTPUT/failed.csv, and the exit code is then 1; if none can be
read, it is 2. A JPG with a few wrong bytes may look wrong and still count as
good: no decoder tells.
"""

from absl import flags

from carvana_jax.datasets import names
from carvana_jax.system import cli, common_flags, malloc

if __name__ == '__main__':
  common_flags.define_photos()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  flags.mark_flags_as_required(['workdir', 'input'])
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
    'own',
    names.SHADOWS,
    "The composite's: the car's own, a synthetic one or none.",
  )
  cli.parse()
  malloc.keep_freed()

import os
import pathlib
import sys
from collections.abc import Sequence

from tqdm import tqdm

from carvana_jax.inference import (
  failures,
  networks,
  output_folder,
  photos,
  predictor,
  products,
)
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import files, threads
from carvana_jax.system.errors import UserError


def predict(
  nets: networks.Networks,
  cars: Sequence[Sequence[photos.Photo]],
  output: pathlib.Path,
  wanted: products.Wanted,
  strict: bool,
) -> dict[str, str]:
  """Writes what is wanted, and not there yet, into an existing folder.

  Args:
    nets: the networks.
    cars: lists of photos that are looked at together.
    output: the folder.
    wanted: what to write of each photo.
    strict: whether a photo that can't be read is an error.

  Returns:
    {photo's label: reason} of those that could not be read.

  Raises:
    UserError: one could not be read, if strict.
  """
  paths = {
    photo.name: products.paths(photo.name, output, wanted)
    for car in cars
    for photo in car
  }
  is_done = lambda photo: all(path.exists() for path in paths[photo.name])
  todo = [car for car in cars if not all(map(is_done, car))]
  failed = {}

  def fail(photo, error):
    if strict:
      raise error
    failed[photo.label] = str(error)
    bar.update()

  def write(pair):
    photo, prediction = pair
    try:
      made = products.make(prediction, nets.masking, wanted)
    except UserError as error:
      return photo, error
    for path, content in zip(paths[photo.name], made, strict=True):
      files.write(path, content)
    return photo, None

  with tqdm(
    total=len(paths),
    initial=len(paths) - sum(map(len, todo)),
    unit='photo',
    leave=False,
    disable=None,
  ) as bar:
    keep = wanted.photo or nets.fine
    given = predictor.inputs(
      todo, photos.Photo.pixels, nets.data_configs, fail, keep
    )
    predicted = predictor.predictions(nets.runs, given)
    for photo, error in threads.ordered_map(write, predicted):
      if error is None:
        bar.update()
      else:
        fail(photo, UserError(f'{photo} {error}'))
  return failed


def refuse_folder(
  output: pathlib.Path,
  found: Sequence[photos.Photo],
  wanted: products.Wanted,
) -> None:
  """Refuses a folder whose files could be lost, or taken for photos.

  Raises:
    UserError: it is a folder of the photos, or files that are wanted were made
      nobody knows how.
  """
  if str(output) in {os.path.dirname(os.path.abspath(x.label)) for x in found}:
    raise UserError(
      f'{output} holds the photos, and masks would be taken for photos; choose '
      'another --output.'
    )
  if (output / 'settings.json').exists():
    return
  for photo in found:
    for path in products.paths(photo.name, output, wanted):
      if path.exists():
        raise UserError(
          f'{path} exists, and it is not known how it was made; choose another '
          '--output.'
        )


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  if args.trim and not args.cutout:
    raise UserError('--trim is of no use without --cutout.')
  devices.use_all_cores()
  compilation_cache.use()
  output = pathlib.Path(args.output).expanduser().absolute()
  files.check_folder(output)
  index, count = output_folder.share()
  wanted = products.Wanted(
    probability=args.save_probabilities,
    cutout=args.cutout,
    trim=args.trim,
    background=products.background(args.background),
    shadow=args.shadow,
  )
  found = photos.find(args.input)
  nets = networks.load(args.workdir, args.tuned, args.fine)
  settings = nets.identity() | {'input': os.path.abspath(args.input)}
  if args.cutout:
    settings['trim'] = args.trim
  if args.background:
    settings |= {'background': args.background, 'shadow': args.shadow}
  by_file = {photo.file: photo for photo in found}
  cars = [
    [by_file[file] for file in car]
    for car in output_folder.cars(list(by_file), nets.multiview)[index::count]
  ]
  refuse_folder(output, found, wanted)
  with output_folder.unclaimed_if_empty(output):
    output_folder.claim(output, settings)
    failed = predict(nets, cars, output, wanted, args.strict)
    if count == 1:
      failures.refuse_all(failed, len(found))
  done = sum(map(len, cars)) - len(failed)
  print(f'{done} masks are in {output}')
  path = output / (f'failed_{index}.csv' if count > 1 else 'failed.csv')
  failures.write(path, failed)
  if failed:
    print(f'{len(failed)} photos could not be read, see {path}')
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
