"""Writes the rows of a submission, or checks those of one."""

import itertools
import pathlib
from collections.abc import Iterable, Sequence

from carvana_jax.inference import networks, photos, predictor
from carvana_jax.masks import from_logits
from carvana_jax.submission import parts, rle, table
from carvana_jax.system import files, progress, threads
from carvana_jax.system.errors import UserError

_SHOWN = 20  # problems in the terminal


def submit(
  nets: networks.Networks,
  store: parts.Parts,
  found: dict[str, photos.Photo],
  size: tuple[int, int],
  share: tuple[int, int],
  strict: bool,
) -> None:
  """Computes the rows that are not there yet.

  Args:
    nets: the networks.
    store: the parts.
    found: the photo of a row's name; a row without one fails.
    size: (H, W) that all photos must have.
    share: (index, count) of the processes that share the parts.
    strict: whether a photo that can't be read is an error.

  Raises:
    UserError: one could not be read, if strict.
  """
  index, count = share
  mine = range(index, store.count, count)
  todo = [number for number in mine if not store.is_done(number)]
  collector = parts.Collector(store, todo)

  def pixels(name):
    if name not in found:
      raise UserError(f'{name} is missing; add it to --input.')
    decoded = found[name].pixels()
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
  with progress.bar(
    total=rows(mine),
    initial=rows(mine) - rows(todo),
    unit='photo',
  ) as bar:
    cars = itertools.chain.from_iterable(map(store.cars_of, todo))
    given = predictor.inputs(cars, pixels, nets.data_configs, fail, nets.fine)
    predicted = predictor.predictions(nets.runs, given)
    for name, runs in threads.ordered_map(encoded, predicted):
      collector.add(name, runs)
      bar.update()


def rows_of(
  found: Sequence[photos.Photo], sample: str | None
) -> dict[str, photos.Photo | None]:
  """The photo of every row, by the row's name, in the order of names.

  Args:
    found: the photos.
    sample: file of a sample_submission.csv, which names the rows; None: all
      photos are rows.

  Raises:
    UserError: the sample can't be read.
  """
  if sample is None:
    return {photo.file: photo for photo in found}
  by_name = {photo.name: photo for photo in found}
  names = table.names_of(files.expand(sample))
  return {
    name: by_name.get(pathlib.PurePosixPath(name).stem)
    for name in sorted(names)
  }


def print_problems(
  path: pathlib.Path, names: Iterable[str] | None, size: tuple[int, int]
) -> bool:
  """Prints what is wrong with a submission; whether it is right."""
  problems = 0
  for problem in table.find_problems(path, names, size):
    problems += 1
    if problems <= _SHOWN:
      print(problem)
  if problems > _SHOWN:
    print(f'and {problems - _SHOWN} more')
  print(
    f'{path}: {f"problems: {problems}" if problems else "as Kaggle wants it"}'
  )
  return not problems
