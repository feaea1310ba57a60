"""Makes the rows of a submission, or says what is wrong with those of one."""

import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from carvana_jax.inference import (
  contents,
  finding,
  networks,
  output_folder,
  photo_work,
  photos,
  predictor,
)
from carvana_jax.masks import from_logits
from carvana_jax.submission import parts, rle, table
from carvana_jax.system import files, names_in_messages, progress, threads
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
    count = names_in_messages.counted(len(unused), 'photo')
    some = names_in_messages.some(by_name[name].file for name in unused)
    print(f'{count} left out: {some} (no rows of {sample})')
  return {x: by_name.get(pathlib.PurePosixPath(x).stem) for x in names}


def submit(
  output: pathlib.Path,
  nets: networks.Networks,
  rows: dict[str, photos.Photo | None],
  size: tuple[int, int],
  notes: dict[str, Any],
  share: tuple[int, int] = (0, 1),
  strict: bool = False,
) -> bool:
  """Writes a submission, or this process's share of its parts.

  Args:
    output: the file, which must not exist unless its parts do as well.
    nets: the networks.
    rows: the photo of every row, see `rows_of`.
    size: (H, W) that all photos must have.
    notes: what else is to be written in the parts' settings.json, as for JSON.
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
  index, count = share
  with output_folder.unclaimed_if_empty(folder, is_shared=count > 1):
    cars = nets.group(list(rows))
    settings = nets.identity() | {'size': f'{size[0]}x{size[1]}'}
    store = parts.Parts.open(output, cars, settings, notes)
    numbers = range(store.count)
    mine = numbers[index::count]
    others = sorted(set(numbers) - set(mine))
    found = {name: photo for name, photo in rows.items() if photo is not None}
    write = lambda numbers: write_parts(
      nets, store, found, size, numbers, strict
    )
    if not output.exists():  # else killed when all but the parts' end was done
      write(mine)
  left = sum(not store.is_done(number) for number in numbers)
  if left and not output.exists():
    print(
      f'{left} of {store.count} parts are left to other processes; if one has '
      'died, --num_processes=1 makes what it has left'
    )
    return True
  # Photos may have changed since another process wrote its parts and ended.
  empty = store.join(lambda: write(others))
  verb = 'is' if len(rows) == 1 else 'are'
  print(f'{names_in_messages.counted(len(rows), "row")} {verb} in {output}')
  photo_work.say_empty(empty, nets.word)
  listing = parts.failures_of(output)
  if listing.exists():
    print(f'some have empty masks, as their photos failed: see {listing}')
  return not listing.exists()


def write_parts(
  nets: networks.Networks,
  store: parts.Parts,
  found: dict[str, photos.Photo],
  size: tuple[int, int],
  numbers: Sequence[int],
  strict: bool,
) -> None:
  """Writes the parts that are missing, or not of what the photos hold.

  Args:
    nets: the networks that predict the masks.
    store: the parts.
    found: the photos by the names of their rows; a row without one fails.
    size: (H, W) that all photos must have.
    numbers: of the parts to look at.
    strict: whether a photo that can't be read is an error.

  Raises:
    UserError: a photo could not be read, if strict.
  """
  todo = _left(store, numbers, found)
  collector = parts.Collector(store, todo)
  held = {}  # `contents.Content` by row

  def pixels(name):
    if name not in found:
      raise UserError(f'{name} is missing; add it to --input.')
    data, held[name] = contents.read(found[name])
    decoded = found[name].decoded(data, strict)
    if decoded.shape[:2] != size:
      raise UserError(
        f'{found[name]} is {decoded.shape[0]}x{decoded.shape[1]}, not '
        f'{size[0]}x{size[1]}; replace it.'
      )
    return decoded

  def fail(name, error):
    if strict:
      raise error
    row = parts.Row(content=held.pop(name, None), failure=str(error))
    collector.add(name, row)
    bar.update()

  def encoded(pair):
    name, prediction = pair
    mask = from_logits.mask_of(prediction.levels(), nets.masking)
    is_empty = from_logits.is_empty(mask)
    return name, parts.Row(rle.encode(mask), held.pop(name), is_empty)

  rows = lambda numbers: sum(len(store.names_of(x)) for x in numbers)
  done = rows(numbers) - rows(todo)
  with progress.bar(total=rows(numbers), initial=done, unit='photo') as bar:
    cars = itertools.chain.from_iterable(map(store.cars_of, todo))
    given = predictor.inputs(cars, pixels, nets.data_configs, fail, nets.fine)
    predicted = predictor.predictions(nets.runs, given)
    for name, row in threads.ordered_map(encoded, predicted):
      collector.add(name, row)
      bar.update()


def _left(store, numbers, found):
  """Returns the parts that are to be made, and says which are made again."""
  done = [number for number in numbers if store.is_done(number)]
  held = {number: store.contents_of(number) for number in done}
  known = {name: x for part in held.values() for name, x in part.items()}
  now = contents.present(
    {name: found[name] for name in known if name in found}, known
  )
  digest = lambda content: content and content.digest
  changed = {x for x in known if digest(now.get(x)) != digest(known[x])}
  again = {x for x in done if not held[x] or changed & held[x].keys()}
  if changed:
    print(
      'changed since, so made again with the other rows of their parts: '
      f'{names_in_messages.named(sorted(changed))}'
    )
  if unknown := [f'{x}' for x in done if not held[x]]:
    print(
      'made again, as it is not known what their rows were made of: '
      f'{names_in_messages.named(unknown, "part")}'
    )
  for number in again:
    store.remove(number)
  return [number for number in numbers if number in again or number not in done]


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
