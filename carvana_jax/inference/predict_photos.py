"""Writes masks, cut-outs and composites of many photos."""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any

from carvana_jax.inference import (
  doubt_list,
  finding,
  folders,
  networks,
  output_folder,
  outputs,
  photo_work,
  photos,
  predictor,
)
from carvana_jax.system import names_in_messages, progress, threads
from carvana_jax.system.errors import UserError


def predict(
  nets: networks.Networks,
  cars: Sequence[Sequence[photos.Photo]],
  output: pathlib.Path,
  wanted: outputs.Wanted,
  strict: bool,
  index: int | None = None,
) -> dict[str, str]:
  """Writes what is wanted, and not there yet, into an existing folder.

  Args:
    nets: the networks.
    cars: lists of photos that are looked at together.
    output: the folder.
    wanted: what to write for each photo.
    strict: whether a photo that can't be used is an error.
    index: of this process; None if it is the only one.

  Returns:
    The reasons, by label, of the photos that could not be used.

  Raises:
    UserError: a photo could not be used, if strict.
  """
  work = photo_work.Work(cars, output, wanted, index)
  todo = work.left()
  failed = {}

  def fail(photo, error):
    if strict:
      raise error
    failed[photo.label] = str(error)
    bar.update()

  def write(pair):
    photo, prediction = pair
    try:
      work.save(photo, outputs.make(prediction, nets.masking, wanted))
    except UserError as error:
      return photo, error
    return photo, None

  left, total = (sum(map(len, x)) for x in (todo, cars))
  with progress.bar(total=total, initial=total - left, unit='photo') as bar:
    keep = wanted.photo or nets.fine
    load = lambda photo: work.pixels(photo, strict)
    given = predictor.inputs(todo, load, nets.data_configs, fail, keep)
    predicted = predictor.predictions(nets.runs, given)
    # Closed, so that nothing is written any more once an error is raised.
    with contextlib.closing(threads.ordered_map(write, predicted)) as written:
      for photo, error in written:
        if error is None:
          bar.update()
        else:
          fail(photo, UserError(f'{photo} {error}'))
  work.finish(nets.word)
  return failed


def predict_share(
  nets: networks.Networks,
  found: Sequence[photos.Photo],
  output: pathlib.Path,
  wanted: outputs.Wanted,
  notes: dict[str, Any],
  share: tuple[int, int] = (0, 1),
  strict: bool = False,
) -> bool:
  """Makes a folder of what is wanted of photos, and tells how many it holds.

  Args:
    nets: the networks.
    found: all photos.
    output: the folder; what is there of these photos already is kept.
    wanted: what to write of each photo.
    notes: what else is to be written in settings.json, as for JSON.
    share: (index, count) of the processes that share the photos; this one
      takes every `count`-th photo or car, from `index` on. Alone it also makes
      what others have left, and its list of failures takes the place of theirs.
    strict: whether a photo that can't be read is an error.

  Returns:
    Whether all photos of this process could be read; those that could not are
    listed in a file of the folder.

  Raises:
    UserError: the folder holds files of another kind, no photo could be read,
      or one could not be, if strict.
  """
  index, count = share
  alone = count == 1
  cars = nets.group(found, lambda x: x.file)[index::count]
  refuse_folder(output, found, wanted)
  with output_folder.unclaimed_if_empty(output, is_shared=not alone):
    output_folder.claim(output, nets.identity() | wanted.settings, notes)
    own = None if alone else index
    failed = predict(nets, cars, output, wanted, strict, own)
    if alone:
      output_folder.refuse_all_failed(failed, len(found))
  made = sum(map(len, cars)) - len(failed)
  verb = 'is' if made == 1 else 'are'
  print(f'{names_in_messages.counted(made, "mask")} {verb} in {output}')
  listing = output / ('failed.csv' if alone else f'failed_{index}.csv')
  output_folder.write_failures(listing, failed)
  if alone:  # what shares could not read has been tried again
    for older in output.glob('failed_[0-9]*.csv'):
      older.unlink()
  if failed:
    count = names_in_messages.counted(len(failed), 'photo')
    print(f'{count} could not be read, see {listing}')
  doubt_list.write(output, [x for x in found if x.label not in failed])
  return not failed


def refuse_folder(
  output: pathlib.Path, found: Sequence[photos.Photo], wanted: outputs.Wanted
) -> None:
  """Refuses an output folder whose files could be lost, or taken for photos.

  Args:
    output: the folder, absolute.
    found: the photos to predict.
    wanted: what to write for each photo.

  Raises:
    UserError: outputs would be written beside photos or over each other, or
      the folder holds files of these names of which no settings.json tells how
      they were made.
  """
  given = {photo.folder for photo in found} - {None}
  made = {output} | {(output / photo.name).parent for photo in found}
  if set(map(folders.identity, given)) & set(map(folders.identity, made)):
    raise UserError(
      f'{output} holds the photos, and masks would be taken for photos; choose '
      'another --output.'
    )
  finding.refuse_equal_names(found, output)
  if (output / 'settings.json').exists():
    return
  for photo in found:
    for ending in outputs.endings(wanted):
      path = outputs.path(output, photo.name, ending)
      if path.exists():
        raise UserError(
          f'{path} exists, and it is not known how it was made; choose another '
          '--output.'
        )
