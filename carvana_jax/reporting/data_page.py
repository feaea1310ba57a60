"""The page on a data set, and the pictures that it shows."""

import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import images, inventory, names, prepare, spec
from carvana_jax.datasets.folder import groups, photo_sizes, source
from carvana_jax.reporting import (
  data_pictures,
  data_samples,
  data_survey,
  data_tables,
  overlays,
  page,
)
from carvana_jax.system import files, names_in_messages
from carvana_jax.system.errors import UserError
from carvana_jax.training import check_config

_PAGE = 'explore.html'
_TITLE = 'A look at '  # begins the title, by which an earlier page is known
_SAMPLES = 'The first photos of training, changed at random as in each epoch.'
_WIDTH = 1616  # of a picture on the page, in pixels
_CAPTIONS = {
  'views': 'The views, with their masks.',
  'mean_and_median': (
    'What stands still is sharp. Where the car is in most views, the median '
    'shows it. The empty studio (empty_studio.png) is the median of what no '
    'mask covers, masks widened by 0.3 % of the width, over the views that '
    'agree; a checkerboard is where all of these are covered.'
  ),
  'difference_from_mean': 'The absolute difference of each view from the mean.',
  'difference_from_median': (
    'The absolute difference of each view from the median, which '
    'configs/median_cnn100.py gives its network.'
  ),
}


class _Data(NamedTuple):
  """Prepared data."""

  plain: tfds.core.DatasetBuilder  # at the network's size
  seen: tfds.core.DatasetBuilder  # what the network is given
  full: tfds.core.DatasetBuilder  # at full size


def write(
  config: ConfigDict, output: pathlib.Path, car: str | None = None
) -> tuple[list[pathlib.Path], list[dict[str, Any]], list[str]]:
  """Writes a page on the data of a config, and its pictures.

  The data are prepared unless they are. Where that can't be done, the page
  tells of the files alone, and why.

  Args:
    config: as in configs/default.py; its `data` is changed where it leaves
      something open.
    output: the folder to write to, which is made if missing. An earlier page
      there, with its pictures, is replaced.
    car: id of the car whose views are compared; None: of those with the most
      views, the one that fills the median share of the frame.

  Returns:
    The files; the table of splits, {column: value} a row; and sentences on what
    is incomplete.

  Raises:
    UserError: the config can't be run, there are no files, no car has that id,
      or the folder holds other files of these names.
  """
  _refuse_others(output)
  _refuse_photos_folder(config.data, output)
  check_config.refuse_tiles(config)
  check_config.check(config)
  check_config.refuse_unused_source(config, [])
  notes = _settle_groups(config.data)
  data, reason = _prepare(config.data)
  try:
    found = inventory.of_files(config.data)
  except UserError:
    if reason:  # says the same, of both
      raise UserError(reason) from None
    raise
  found = found or inventory.of_prepared(data.plain)
  entries, pictures, sections = found.entries, {}, []
  if data:
    sizes = _photo_sizes(config.data, entries)
    survey = data_survey.survey(data.plain, config.data, sizes)
    splits = {x.name: x.split for x in survey.examples}
    entries = inventory.with_splits(entries, splits)
    pictures, sections = _shown(config, data, survey, sizes, entries, car)
  rows = inventory.table(entries, config.data.dataset)
  sentences = inventory.missing(entries, config.data.dataset)
  if reason:
    sentences.append(f'so there are no pictures: {reason}')
  first = page.table(rows) + page.bullets([*sentences, *notes, *found.lines])
  title = f'{_TITLE}{config.data.dataset} at {config.data.size}'
  text = page.page(title, [('What there is', first), *sections])
  return _written(output, text, pictures), rows, sentences


def text(rows: Sequence[dict[str, Any]], sentences: Sequence[str]) -> str:
  """Returns what a terminal shows of `write`'s results, 80 columns wide.

  Args:
    rows: the table of splits.
    sentences: on what is incomplete.
  """
  cells = [list(rows[0]), *([str(x) for x in row.values()] for row in rows)]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  lines = [
    '  '.join(
      cell.rjust(width) if place else cell.ljust(width)
      for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    for line in cells
  ]
  wrapped = [textwrap.fill(x, 80, subsequent_indent='  ') for x in sentences]
  return '\n'.join([*lines, *wrapped])


def _refuse_others(output: pathlib.Path) -> None:
  """Refuses to replace a page that is not an earlier one of this command."""
  files.check_folder(output)
  path = output / _PAGE
  is_own = (
    path.is_file()
    and f'<title>{_TITLE}' in path.read_text('utf-8', 'replace')[:999]
  )
  taken = [x for x in (_PAGE, *_picture_names()) if (output / x).exists()]
  if taken and not is_own:
    raise UserError(
      f'{output} has a {taken[0]} that explore did not write; choose another '
      '--output.'
    )


def _picture_names():
  return [f'{x}.png' for x in ('cars', *_CAPTIONS, 'empty_studio', 'samples')]


def _refuse_photos_folder(data_config, output):
  """Refuses the folder of the photos, where pictures would pass for photos."""
  if not data_config.manual_dir:
    return
  folder = files.absolute(data_config.manual_dir).resolve()
  if output.resolve().is_relative_to(folder):
    raise UserError(
      f'{output} is in the folder of the photos, and pictures would be taken '
      'for photos; choose another --output.'
    )


def _settle_groups(data_config):
  """Leaves photos unsplit where no split of theirs is clear; returns why."""
  if data_config.dataset != 'folder':
    return []
  try:
    source.find(data_config)
  except groups.UnclearError as error:
    data_config.groups = groups.UNSPLIT
    return [f'no split for training: {error}']
  return []


def _prepare(data_config):
  """Returns the data, or None and why they can't be prepared."""
  try:
    return _Data(
      prepare.dataset(data_config, data_config.size),
      prepare.for_network(data_config),
      prepare.for_scoring(data_config),
    ), ''
  except UserError as error:
    if data_config.dataset == 'studio':  # has nothing else to be told of
      raise
    return None, str(error)


def _photo_sizes(data_config, entries):
  """Returns (H, W) at full size of labelled photos by name."""
  full = prepare.full_size(data_config)
  if data_config.dataset == 'folder':
    items = source.find_layout(data_config).items
    items = [x for x in items if x.photo and x.mask]
    found = photo_sizes.of(items)
    return {x.name: y for x, y in zip(items, found, strict=True)}
  size = spec.parse_size(full)
  return {x.name: size for x in entries if x.split != inventory.UNLABELED}


def _shown(config, data, survey, sizes, entries, car):
  """Returns {name: picture} and the sections with these, plots and tables."""
  dataset = config.data.dataset
  word, group = names.object_word(dataset), names.group_word(dataset)
  cars = data_survey.cars_of(survey.examples)
  views = cars[_chosen(cars, car, group)]
  pictures = {'cars': data_pictures.grid(data.full, cars, word)}
  compared = data_pictures.of_car(data.full, views)
  pictures |= compared.pictures
  text = page.bullets(compared.sentences) + '\n'.join(
    _figure(pictures[name], caption)
    for name, caption in _CAPTIONS.items()
    if name in pictures
  )
  try:
    pictures['samples'] = data_samples.draw(data.seen, config)
    samples = _figure(pictures['samples'], _SAMPLES)
  except UserError as error:
    samples = page.bullets([f'There are no samples of training: {error}'])
  size, full = config.data.size, names.size_text(prepare.full_size(config.data))
  folders = {f'at {size}': data.plain, f'at {full}': data.full}
  memory = data_tables.sizes(
    entries,
    [sizes[x.name] for x in survey.examples],
    prepare.input_shape(config.data),
    {x: pathlib.Path(y.data_path) for x, y in folders.items()},
    config.train.batch_size,
  )
  heading = (
    f'The views of one {group}: {names_in_messages.printable(views[0].car_id)}'
  )
  return pictures, [
    (f'{word.capitalize()}s and their masks', _figure(pictures['cars'], '')),
    (heading, text),
    ('What the network will see', samples),
    (
      'Share of the frame, place and colour',
      data_tables.statistics(survey, word, group),
    ),
    ('Sizes in memory and on disk', memory),
  ]


def _chosen(cars, car, word):
  """Returns the id of the car whose views are compared."""
  if car is not None:
    if car not in cars:
      some = names_in_messages.some(cars)
      raise UserError(f'there is no {word} {car} with masks; there are {some}.')
    return car
  most = max(map(len, cars.values()))
  share = lambda x: np.mean([y.measures.share for y in cars[x]])
  ordered = sorted((x for x in cars if len(cars[x]) == most), key=share)
  return ordered[len(ordered) // 2]


def _figure(pixels, caption):
  return page.figure(
    page.image(overlays.jpeg(pixels, _WIDTH), caption or 'photos'), caption
  )


def _written(output, text, pictures):
  """Writes page and pictures, without those of an earlier page."""
  output.mkdir(parents=True, exist_ok=True)
  for name in _picture_names():
    if name.removesuffix('.png') not in pictures:
      (output / name).unlink(missing_ok=True)
  paths = [output / _PAGE]
  # First, so that pictures are known as this command's from here on.
  files.write(paths[0], text)
  for name, pixels in pictures.items():
    paths.append(output / f'{name}.png')
    files.write(paths[-1], images.encode_png(pixels))
  return paths
