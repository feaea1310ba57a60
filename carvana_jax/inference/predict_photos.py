"""Writes masks, cut-outs and composites of many photos."""

import os
import pathlib
from collections.abc import Sequence

from carvana_jax.inference import networks, outputs, photos, predictor
from carvana_jax.system import files, progress, threads
from carvana_jax.system.errors import UserError


def predict(
  nets: networks.Networks,
  cars: Sequence[Sequence[photos.Photo]],
  output: pathlib.Path,
  wanted: outputs.Wanted,
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
    photo.name: outputs.paths(photo.name, output, wanted)
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
      made = outputs.make(prediction, nets.masking, wanted)
    except UserError as error:
      return photo, error
    for path, content in zip(paths[photo.name], made, strict=True):
      files.write(path, content)
    return photo, None

  with progress.bar(
    total=len(paths),
    initial=len(paths) - sum(map(len, todo)),
    unit='photo',
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
  wanted: outputs.Wanted,
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
    for path in outputs.paths(photo.name, output, wanted):
      if path.exists():
        raise UserError(
          f'{path} exists, and it is not known how it was made; choose another '
          '--output.'
        )
