"""Writes a submission to Kaggle's Carvana challenge, or checks one.

    python -m carvana_jax.submit --workdir=runs/a --input=test.zip \\
        --output=submission.csv.gz
    python -m carvana_jax.submit --check=submission.csv.gz --input=test.zip

One row a photo, in the order of their names: img,rle_mask. While it is made,
OUTPUT.parts holds finished rows, so an interrupted command goes on where it
stopped; whichever of several processes (--process_id, --num_processes) ends
last joins the parts. Photos that are damaged or missing get an empty mask, are
listed in OUTPUT.failed.csv, and make the exit code 1; if all are, it is 2.
"""

from absl import flags

from carvana_jax.datasets import names
from carvana_jax.system import cli, common_flags, malloc

if __name__ == '__main__':
  common_flags.define_photos()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  flags.DEFINE_string(
    'output', None, 'The submission, .csv or .csv.gz; must not exist.'
  )
  flags.DEFINE_string(
    'sample',
    None,
    'sample_submission.csv (or .zip), whose rows are wanted. Default: a row a '
    'photo.',
  )
  flags.DEFINE_string(
    'size', names.ORIGINAL_SIZE, 'HEIGHTxWIDTH that all photos must have.'
  )
  flags.DEFINE_string(
    'check', None, 'Say what is wrong with this submission, and do no more.'
  )
  cli.parse()
  malloc.keep_freed()

import itertools
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence

from tqdm import tqdm

from carvana_jax.datasets import spec
from carvana_jax.inference import networks, output_folder, photos, predictor
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.submission import parts, rle, table
from carvana_jax.system import files, threads
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
    mask = predictor.mask_of(prediction.levels(), nets.masking)
    return name, rle.encode(mask)

  rows = lambda numbers: sum(len(store.names_of(x)) for x in numbers)
  with tqdm(
    total=rows(mine),
    initial=rows(mine) - rows(todo),
    unit='photo',
    leave=False,
    disable=None,
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
  names = table.names_of(pathlib.Path(sample).expanduser())
  return {
    name: by_name.get(pathlib.PurePosixPath(name).stem)
    for name in sorted(names)
  }


def check(
  path: pathlib.Path, names: Iterable[str] | None, size: tuple[int, int]
) -> bool:
  """Prints what is wrong with a submission; whether it is right."""
  problems = 0
  for problem in table.check(path, names, size):
    problems += 1
    if problems <= _SHOWN:
      print(problem)
  if problems > _SHOWN:
    print(f'and {problems - _SHOWN} more')
  print(
    f'{path}: {f"problems: {problems}" if problems else "as Kaggle wants it"}'
  )
  return not problems


def _check(args, size):
  names = None
  if args.sample:
    names = table.names_of(pathlib.Path(args.sample).expanduser())
  elif args.input:
    names = [photo.file for photo in photos.find(args.input)]
  path = pathlib.Path(args.check).expanduser().absolute()
  if not check(path, names, size):
    sys.exit(1)


def _submit(args, size):
  output = pathlib.Path(args.output).expanduser().absolute()
  if not output.name.endswith(('.csv', '.csv.gz')):
    raise UserError(f'--output={args.output} must end in .csv or .csv.gz.')
  files.check_folder(output.parent)
  share = output_folder.share()
  rows = rows_of(photos.find(args.input), args.sample)
  nets = networks.load(args.workdir, args.tuned, args.fine)
  cars = output_folder.cars(list(rows), nets.multiview)
  if output.exists() and not parts.folder_of(output).exists():
    raise UserError(f'{output} exists; choose another --output.')
  settings = nets.identity() | {
    'size': args.size,
    'input': os.path.abspath(args.input),
  }
  found = {name: photo for name, photo in rows.items() if photo is not None}
  with output_folder.unclaimed_if_empty(parts.folder_of(output)):
    store = parts.Parts(output, cars, settings)
    if not output.exists():  # else killed when all but the parts' end was done
      submit(nets, store, found, size, share, args.strict)
  left = sum(not store.is_done(number) for number in range(store.count))
  if left and not output.exists():
    print(f'{left} of {store.count} parts are left to other processes')
    return
  store.join()
  print(f'{len(rows)} rows are in {output}')
  if (listing := parts.failures_of(output)).exists():
    print(f'some have empty masks, as their photos failed: see {listing}')
    sys.exit(1)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  size = spec.parse_size(args.size)
  if args.check:
    _check(args, size)
    return
  for name in ('workdir', 'input', 'output'):
    if not args[name].value:
      raise UserError(f'--{name} is missing; see --help.')
  devices.use_all_cores()
  compilation_cache.use()
  _submit(args, size)


if __name__ == '__main__':
  cli.run(main)
