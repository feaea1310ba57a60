"""Writes the masks of a folder's photos.

    python -m carvana_jax.predict --workdir=runs/a --input=photos --output=masks

For every JPG or PNG of the folder, NAME_mask.png (0 or 255) of the photo's
size. A network that compares the views of a car takes all photos of a car
together, CAR_01.jpg to CAR_16.jpg; one to sixteen of them will do.

Masks that are there already are kept, so an interrupted command goes on where
it stopped; OUTPUT/network.json says which network they are from.
"""

import collections
import itertools
import json
import pathlib

import numpy as np
from absl import flags
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from carvana_jax import atomic, checkpoint, cli, predictor
from carvana_jax.datasets import images, spec
from carvana_jax.errors import UserError

_ENDINGS = ('.jpg', '.jpeg', '.png')


def predict(
  run: checkpoint.Run, photos: list[pathlib.Path], output: pathlib.Path
) -> None:
  """Writes NAME_mask.png for every photo into an existing folder.

  Raises:
    UserError: a photo can't be read, or those of a car differ in size.
  """
  cars = group_by_car(photos, run.config.data.multiview)
  cars = [car for car in cars if not all(_is_done(x, output) for x in car)]
  with tqdm(
    total=len(photos),
    initial=len(photos) - sum(map(len, cars)),
    unit='photo',
    leave=False,
    disable=None,
  ) as bar:
    # Photos of one size share a compiled step.
    for size, group in itertools.groupby(sorted(cars, key=size_of), size_of):
      given = predictor.inputs(group, pixels, run.config.data)
      for photo, levels in predictor.levels(run, given, size):
        mask = predictor.mask_of(levels, run.config.eval)
        png = images.encode_png(mask.astype(np.uint8) * 255)
        atomic.write(_target(photo, output), png)
        bar.update()


def find(folder: pathlib.Path) -> list[pathlib.Path]:
  """The folder's photos in the order of their names.

  Raises:
    UserError: there are none, or the masks of two would have one name.
  """
  photos = sorted(
    path
    for path in folder.iterdir()
    if path.suffix.lower() in _ENDINGS and path.is_file()
  )
  if not photos:
    raise UserError(f'{folder} holds no photo; give --input a folder of them.')
  for photo, following in itertools.pairwise(sorted(photos, key=_stem)):
    if photo.stem == following.stem:
      raise UserError(
        f'{photo} and {following.name} differ in their endings only, so their '
        'masks would have one name; rename one.'
      )
  return photos


def claim(
  output: pathlib.Path, run: checkpoint.Run, workdir: pathlib.Path
) -> None:
  """Makes the folder of a network's masks.

  Raises:
    UserError: it holds the masks of another network, or of an unknown one.
  """
  network = {'workdir': str(workdir), 'step': run.step}
  path = output / 'network.json'
  if path.exists():
    if json.loads(path.read_text()) != network:
      raise UserError(
        f'{output} holds masks of another network, see {path.name}; choose '
        'another --output.'
      )
  elif any(output.glob('*_mask.png')):
    raise UserError(
      f'{output} holds masks of an unknown network; choose another --output.'
    )
  output.mkdir(parents=True, exist_ok=True)
  atomic.write(path, json.dumps(network) + '\n')


def _stem(photo):
  return photo.stem


def _target(photo, output):
  return output / f'{photo.stem}_mask.png'


def _is_done(photo, output):
  return _target(photo, output).exists()


def group_by_car(
  photos: list[pathlib.Path], together: bool
) -> list[list[pathlib.Path]]:
  """Lists of photos that are looked at together: those of a car, or single.

  Raises:
    UserError: a car has more views than there can be.
  """
  if not together:
    return [[photo] for photo in photos]
  cars = collections.defaultdict(list)
  for photo in photos:
    cars[photo.stem.rpartition('_')[0] or photo.stem].append(photo)
  for name, car in cars.items():
    if len(car) > spec.VIEWS:
      raise UserError(
        f'{name}_… names {len(car)} photos, but a car has at most '
        f'{spec.VIEWS} views; name them CAR_VIEW.jpg.'
      )
  return list(cars.values())


def size_of(car: list[pathlib.Path]) -> tuple[int, int]:
  """(H, W) of a car's photos; `UserError` where they differ or are none."""
  sizes = [_read_size(photo) for photo in car]
  for photo, size in zip(car, sizes, strict=True):
    if size != sizes[0]:
      raise UserError(
        f'{photo} differs in size from {car[0].name}, which is of the same '
        'car; remove one of them.'
      )
  return sizes[0]


def _read_size(photo):
  try:
    with Image.open(photo) as image:
      return image.height, image.width
  except UnidentifiedImageError as error:
    raise UserError(f'{photo} is no image; remove it.') from error


def pixels(photo: pathlib.Path) -> np.ndarray:
  """uint8 [H, W, 3]; `UserError` where the photo is damaged."""
  try:
    return images.decode_photo(photo.read_bytes())
  except ValueError as error:
    raise UserError(f'{photo} is damaged; replace or remove it.') from error


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  folder, output, workdir = (
    pathlib.Path(path).expanduser().absolute()
    for path in (args.input, args.output, args.workdir)
  )
  photos = find(folder)
  run = checkpoint.load(workdir)
  claim(output, run, workdir)
  predict(run, photos, output)
  print(f'{len(photos)} masks are in {output}')


if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  flags.DEFINE_string('input', None, 'Folder of the photos.', required=True)
  flags.DEFINE_string(
    'output', None, 'Folder for the masks; made if missing.', required=True
  )
  cli.run(main)
