"""Makes the rows of a submission, or says what is wrong with those of one."""

import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from carvana_jax.inference import (
  finding,
  left_out,
  networks,
  output_folder,
  photos,
  predictor,
)
from carvana_jax.masks import from_logits
from carvana_jax.submission import parts, rle, table
from carvana_jax.system import files, progress, threads
from carvana_jax.system.errors import UserError

_SHOWN = 20  # problems in the terminal


def output_file(text: str) -> pathlib.Path:
  """Returns the path of a submission, once it is sure that it can be written.

  Args:
    text: the value of --output.

  Raises:
    UserError: it has another ending than a submission, or its folder can't be
      made or written to.
  """
  path = files.absolute(text)
  if not path.name.endswith(('.csv', '.csv.gz')):
    raise UserError(f'--output={text} must end in .csv or .csv.gz.')
  files.check_folder(path.parent)
  return path


def files_of(output: pathlib.Path) -> list[pathlib.Path]:
  """Returns what is written for a submission: itself and what is beside it."""
  return [output, parts.folder_of(output), parts.failures_of(output)]


def rows_of(
  found: Sequence[photos.Photo], sample: str | None
) -> dict[str, photos.Photo | None]:
  """The photo of every row, by the row's name, in the order of names.

  Args:
    found: the photos.
    sample: file of a sample_submission.csv, which names the rows; None: all
      photos are rows, NAME.jpg. If Kaggle does not know such names, that is
      said.

  Raises:
    UserError: the sample can't be read.
  """
  if sample is None:
    rows = {f'{photo.name}.jpg': photo for photo in found}
    others = [x for x in rows if not table.is_of_challenge(x)]
    if others:
      print(
        f'Kaggle would refuse {len(others)} of {len(rows)} rows, such as '
        f'{others[0]}: no photo of the challenge has that name',
        flush=True,
      )
    return rows
  by_name = {photo.name: photo for photo in found}
  names = sorted(table.names_of(files.expand(sample)))
  unused = by_name.keys() - {pathlib.PurePosixPath(x).stem for x in names}
  if unused:
    some = left_out.some(by_name[name].file for name in unused)
    print(f'{len(unused)} photos left out: {some} (no rows of {sample})')
  return {x: by_name.get(pathlib.PurePosixPath(x).stem) for x in names}


def submit(
  output: pathlib.Path,
  nets: networks.Networks,
  rows: dict[str, photos.Photo | None],
  size: tuple[int, int],
  settings: dict[str, Any],
  share: tuple[int, int] = (0, 1),
  strict: bool = False,
) -> bool:
  """Writes a submission, or this process's share of its parts.

  Args:
    output: the file, which must not exist unless its parts do as well.
    nets: the networks.
    rows: the photo of every row, see `rows_of`.
    size: (H, W) that all photos must have.
    settings: what the rows depend on besides the networks, as for JSON.
    share: (index, count) of the processes that share the parts.
    strict: whether a photo that can't be read is an error.

  Returns:
    Whether all is well: False if photos failed, whose masks are empty.

  Raises:
    UserError: the file exists, parts of another submission do, all photos
      failed, or one did, if strict.
  """
  folder = parts.folder_of(output)
  if output.exists() and not folder.exists():
    raise UserError(f'{output} exists; choose another --output.')
  with output_folder.unclaimed_if_empty(folder, is_shared=share[1] > 1):
    cars = photos.group_by_car(list(rows), nets.multiview)
    store = parts.Parts.open(output, cars, nets.identity() | settings)
    if not output.exists():  # else killed when all but the parts' end was done
      found = {name: photo for name, photo in rows.items() if photo is not None}
      write_parts(nets, store, found, size, share, strict)
  left = sum(not store.is_done(number) for number in range(store.count))
  if left and not output.exists():
    print(
      f'{left} of {store.count} parts are left to other processes; if one has '
      'died, --num_processes=1 makes what it has left'
    )
    return True
  store.join()
  print(f'{len(rows)} rows are in {output}')
  listing = parts.failures_of(output)
  if listing.exists():
    print(f'some have empty masks, as their photos failed: see {listing}')
  return not listing.exists()


def write_parts(
  nets: networks.Networks,
  store: parts.Parts,
  found: dict[str, photos.Photo],
  size: tuple[int, int],
  share: tuple[int, int],
  strict: bool,
) -> None:
  """Computes the rows that have not been written yet.

  Args:
    nets: the networks that predict the masks.
    store: the parts to which the rows are written.
    found: the photos by the names of their rows; a row without one fails.
    size: (H, W) that all photos must have.
    share: (index, count) of the processes that share the parts.
    strict: whether a photo that can't be read is an error.

  Raises:
    UserError: a photo could not be read, if strict.
  """
  index, count = share
  mine = range(index, store.count, count)
  todo = [number for number in mine if not store.is_done(number)]
  collector = parts.Collector(store, todo)

  def pixels(name):
    if name not in found:
      raise UserError(f'{name} is missing; add it to --input.')
    decoded = found[name].pixels(strict)
    if decoded.shape[:2] != size:
      raise UserError(
        f'{found[name]} is {decoded.shape[0]}x{decoded.shape[1]}, not '
        f'{size[0]}x{size[1]}; replace it.'
      )
    return decoded

  def fail(name, error):
    if strict:
      raise error
    collector.fail(name, str(error))
    bar.update()

  def encoded(pair):
    name, prediction = pair
    mask = from_logits.mask_of(prediction.levels(), nets.masking)
    return name, rle.encode(mask)

  rows = lambda numbers: sum(len(store.names_of(x)) for x in numbers)
  done = rows(mine) - rows(todo)
  with progress.bar(total=rows(mine), initial=done, unit='photo') as bar:
    cars = itertools.chain.from_iterable(map(store.cars_of, todo))
    given = predictor.inputs(cars, pixels, nets.data_configs, fail, nets.fine)
    predicted = predictor.predictions(nets.runs, given)
    for name, runs in threads.ordered_map(encoded, predicted):
      collector.add(name, runs)
      bar.update()


def print_problems(
  path: pathlib.Path,
  sample: str | None,
  given: str | None,
  size: tuple[int, int],
  recursive: bool = False,
) -> bool:
  """Prints what Kaggle would refuse in a submission.

  Args:
    path: the submission.
    sample: file of a sample_submission.csv, which names the rows; None: the
      photos do.
    given: where the photos are, see `finding.find`; None, without a sample, if
      any of the challenge's names will do.
    size: (H, W) of the photos.
    recursive: whether photos in sub-folders count, too.

  Returns:
    Whether there is nothing to refuse.
  """
  if sample:
    names = table.names_of(files.expand(sample))
    right = f'as Kaggle wants it, with the rows of {sample}'
  elif given:
    found = finding.find(given, recursive, flat=True, own=[path])
    rows = [f'{photo.name}.jpg' for photo in found]
    names = [x for x in rows if table.is_of_challenge(x)]
    right = f'as Kaggle wants it, if {given} holds all photos of the challenge'
  else:
    names = None
    right = (
      'the form is right; whether every image has its row was not checked: '
      'give --sample or --input'
    )
  problems = 0
  for problem in table.find_problems(path, names, size):
    problems += 1
    if problems <= _SHOWN:
      print(problem)
  if problems > _SHOWN:
    print(f'and {problems - _SHOWN} more')
  verdict = f'problems: {problems}' if problems else right
  print(f'{path}: {verdict}')
  return not problems
