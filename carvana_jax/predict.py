"""Writes the masks of a folder's photos.

    python -m carvana_jax.predict --workdir=runs/a --input=photos --output=masks

For every JPG or PNG of the folder, NAME_mask.png (0 or 255) of the photo's
size. A network that compares the views of a car takes all photos of a car
together, CAR_01.jpg to CAR_16.jpg; one to sixteen of them will do.
"""

import itertools
import os
import pathlib
from collections.abc import Iterable

import numpy as np
from absl import flags
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from carvana_jax import checkpoint, cli, predictor
from carvana_jax.datasets import images
from carvana_jax.errors import UserError

_ENDINGS = ('.jpg', '.jpeg', '.png')


def predict(
  run: checkpoint.Run, photos: Iterable[pathlib.Path], output: pathlib.Path
) -> None:
  """Writes NAME_mask.png for every photo into an existing folder.

  Raises:
    UserError: a photo can't be read, or those of a car differ in size.
  """
  cars = _cars(photos, run.config.data.multiview)
  with tqdm(
    total=sum(map(len, cars)), unit='photo', leave=False, disable=None
  ) as bar:
    # Photos of one size share a compiled step.
    for size, group in itertools.groupby(cars, _size):
      given = predictor.inputs(group, _pixels, run.config.data)
      for photo, mask in predictor.masks(run, given, size):
        _write(mask, _target(photo, output))
        bar.update()


def find(folder: pathlib.Path, output: pathlib.Path) -> list[pathlib.Path]:
  """The folder's photos in the order of their names.

  Raises:
    UserError: there are none, or a photo's mask exists in `output`.
  """
  photos = sorted(
    path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS
  )
  if not photos:
    raise UserError(f'{folder} holds no photo; give --input a folder of them.')
  for photo in photos:
    if _target(photo, output).exists():
      raise UserError(
        f'{_target(photo, output)} exists; choose another --output.'
      )
  return photos


def _target(photo, output):
  return output / f'{photo.stem}_mask.png'


def _cars(photos, together):
  """Lists of photos that are looked at together: those of a car, or single."""
  if not together:
    return [[photo] for photo in photos]
  car = lambda photo: photo.stem.rpartition('_')[0] or photo.stem
  return [list(group) for _, group in itertools.groupby(photos, car)]


def _size(car):
  """(H, W) of a car's photos."""
  sizes = [_size_of(photo) for photo in car]
  for photo, size in zip(car, sizes, strict=True):
    if size != sizes[0]:
      raise UserError(
        f'{photo} differs in size from {car[0]}, which is of the same car; '
        'remove one of them.'
      )
  return sizes[0]


def _size_of(photo):
  try:
    with Image.open(photo) as image:
      return image.height, image.width
  except UnidentifiedImageError as error:
    raise UserError(f'{photo} is no image; remove it.') from error


def _pixels(photo):
  try:
    return images.decode_photo(photo.read_bytes())
  except ValueError as error:
    raise UserError(f'{photo} is damaged; replace or remove it.') from error


def _write(mask, path):
  aside = path.with_suffix('.tmp')
  aside.write_bytes(images.encode_png(mask.astype(np.uint8) * 255))
  os.replace(aside, path)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  folder, output, workdir = (
    pathlib.Path(path).expanduser().absolute()
    for path in (args.input, args.output, args.workdir)
  )
  photos = find(folder, output)
  run = checkpoint.load(workdir)
  output.mkdir(parents=True, exist_ok=True)
  predict(run, photos, output)
  print(f'{len(photos)} masks written to {output}')


if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  flags.DEFINE_string('input', None, 'Folder of the photos.', required=True)
  flags.DEFINE_string(
    'output', None, 'Folder for the masks; made if missing.', required=True
  )
  cli.run(main)
