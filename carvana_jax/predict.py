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
are listed in OUTPUT/failed.csv, and the exit code is then 1.
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import flags
from tqdm import tqdm

from carvana_jax import (
  atomic,
  cli,
  failures,
  networks,
  parallel,
  photos,
  predictor,
  products,
  shadow,
  shares,
)
from carvana_jax.datasets import workers
from carvana_jax.errors import UserError


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
    made = products.make(prediction, nets.masking, wanted)
    for path, content in zip(paths[photo.name], made, strict=True):
      atomic.write(path, content)

  with tqdm(
    total=len(paths),
    initial=len(paths) - sum(map(len, todo)),
    unit='photo',
    leave=False,
    disable=None,
  ) as bar:
    given = predictor.inputs(
      todo, photos.Photo.pixels, nets.data_configs, fail, wanted.photo
    )
    predicted = predictor.predictions(nets.runs, given)
    for _ in workers.ordered_map(write, predicted):
      bar.update()
  return failed


def refuse_unknown(output: pathlib.Path) -> None:
  """Raises a `UserError` where a folder's masks were made nobody knows how."""
  if any(output.glob('*_mask.png')) and not (output / 'settings.json').exists():
    raise UserError(
      f'{output} holds masks of unknown settings; choose another --output.'
    )


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  parallel.use_all_cores()
  output = pathlib.Path(args.output).expanduser().absolute()
  index, count = shares.share()
  wanted = products.Wanted(
    probability=args.save_probabilities,
    cutout=args.cutout,
    trim=args.trim,
    background=products.background(args.background),
    shadow=args.shadow,
  )
  found = photos.find(args.input)
  nets = networks.load(args.workdir, args.tuned)
  looks = {name: args[name].value for name in ('trim', 'background', 'shadow')}
  by_file = {photo.file: photo for photo in found}
  cars = [
    [by_file[file] for file in car]
    for car in shares.cars(list(by_file), nets.multiview)[index::count]
  ]
  refuse_unknown(output)
  shares.claim(output, nets.identity() | looks)
  failed = predict(nets, cars, output, wanted, args.strict)
  done = sum(map(len, cars)) - len(failed)
  print(f'{done} masks are in {output}')
  if failed:
    path = output / (f'failed_{index}.csv' if count > 1 else 'failed.csv')
    failures.write(path, failed)
    print(f'{len(failed)} photos could not be read, see {path}')
    sys.exit(1)


if __name__ == '__main__':
  shares.define_flags()
  flags.adopt_module_key_flags(shares)  # shown by --help
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
    shadow.KINDS,
    "The composite's: the car's own, a synthetic one or none.",
  )
  cli.run(main)
