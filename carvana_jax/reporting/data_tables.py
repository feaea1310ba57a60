"""Plots and tables of a data set: its cars' places and colours, its sizes."""

import collections
import math
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from carvana_jax.datasets.inventory import UNLABELED, Entry
from carvana_jax.reporting import overlays, page, plots
from carvana_jax.reporting.data_survey import Example, Survey

_MEASURES = {
  'share': 'share of the frame',
  'across': 'centre, from the left',
  'down': 'centre, from the top',
  'height': "height, as a share of the frame's",
  'width': "width, as a share of the frame's",
}
_RANKS = {'least': 0, '5 %': 5, 'median': 50, '95 %': 95, 'most': 100}
_COLOUR = 'mean red, green, blue'
_MOST_POINTS = 1500  # of a plot
_HEAT_WIDTH = 480  # pixels


def statistics(survey: Survey, word: str, group: str) -> str:
  """Returns plots and tables of the cars' sizes, places and colours, as HTML.

  Args:
    survey: of the labelled photos.
    word: for what they show.
    group: for the photos of one.
  """
  shown = [x for x in survey.examples if x.measures.share > 0]
  if not shown:
    return ''
  few = shown[:: -(-len(shown) // _MOST_POINTS)]
  value = lambda name, examples: [getattr(x.measures, name) for x in examples]
  shape = survey.mean_mask.shape
  colours = _colours(shown, group)
  column = lambda name: [row[name] for row in colours]
  means = [[float(x) for x in y.split(',')] for y in column(_COLOUR)]
  drawn = [
    plots.histogram(
      f'share of the frame that is {word}', value('share', shown)
    ),
    plots.scatter(
      f'centres of {word}s, in their mean colours',
      value('across', few),
      value('down', few),
      value('colour', few),
      shape[0] / shape[1],
    ),
    page.figure(
      page.image(_heat(survey.mean_mask), f'where {word}s are'),
      f'where {word}s are: the mean of all masks; black never, white always',
    ),
    plots.coloured_bars(
      f'{group}s by colour', column('colour'), column(f'{group}s'), means
    ),
  ]
  tables = [page.table(_ranks(shown)), page.table(colours)]
  return page.grid(drawn, 'plots') + '<p></p>\n'.join(tables)


def _ranks(examples: Sequence[Example]):
  rows = []
  for name, title in _MEASURES.items():
    values = [getattr(x.measures, name) for x in examples]
    ranks = np.percentile(values, list(_RANKS.values()))
    cells = zip(_RANKS, ranks, strict=True)
    rows.append(
      {f'of {len(values)} photos': title}
      | {rank: f'{value:.3f}' for rank, value in cells}
      | {'mean': f'{np.mean(values):.3f}'}
    )
  return rows


def _colours(examples, word):
  """Returns a row for each colour of cars, the most common first.

  A car's colour is that of most of its photos.
  """
  cars = collections.defaultdict(list)
  for x in examples:
    if x.colour:
      cars[x.car_id].append(x)
  by_name = collections.defaultdict(list)
  for own in cars.values():
    counts = collections.Counter(x.colour for x in own)
    by_name[counts.most_common(1)[0][0]].append(own)
  total = sum(map(len, cars.values()))
  rows = []
  for name, found in sorted(by_name.items(), key=lambda x: -len(x[1])):
    photos = [x for own in found for x in own]
    mean = np.mean([x.measures.colour for x in photos], axis=0)
    rows.append(
      {
        'colour': name,
        f'{word}s': len(found),
        'photos': len(photos),
        'share': f'{100 * len(photos) / total:.1f} %',
        _COLOUR: ', '.join(f'{x:.0f}' for x in mean),
      }
    )
  return rows


def _heat(mean_mask):
  grey = np.rint(255 * mean_mask).astype(np.uint8)
  height = round(_HEAT_WIDTH * grey.shape[0] / grey.shape[1])
  return overlays.jpeg(cv2.resize(grey, (_HEAT_WIDTH, height)), _HEAT_WIDTH)


def sizes(
  entries: Sequence[Entry],
  full_sizes: Sequence[tuple[int, int]],
  shape: tuple[int, int, int],
  folders: dict[str, pathlib.Path],
  batch: int,
) -> str:
  """Returns a table of what the labelled photos take, as HTML.

  Args:
    entries: of the data set.
    full_sizes: (H, W) of each labelled photo at full size.
    shape: (h, w, C) of the network's input.
    folders: the prepared data, by what they are called.
    batch: photos in a batch.
  """
  labelled = [x for x in entries if x.split != UNLABELED]
  files = {
    'photo files': [x.photo for x in labelled if x.photo is not None],
    'mask files': [x.mask for x in labelled if x.mask is not None],
  }
  rows = [
    _row(name, f'{len(found)} files', sum(found))
    for name, found in files.items()
  ]
  count = len(full_sizes)
  rows += [
    _row(f'prepared {name}', 'all splits', _on_disk(folder))
    for name, folder in folders.items()
  ]
  pixels = sum(map(math.prod, full_sizes))
  full = set(full_sizes)
  full = full.pop() if len(full) == 1 else ('each its own',)
  height, width, channels = shape
  for name, dims, size in (
    ('photos at full size', (*full, 3), 3 * pixels),
    ('masks at full size', full, pixels),
    ("the network's input", shape, count * math.prod(shape)),
    ('masks at its size', shape[:2], count * height * width),
  ):
    text = ' x '.join(map(str, (count, *dims)))
    rows.append(_row(f'{name}, uint8', text, size))
    rows.append(_row(f'{name}, float32', text, 4 * size))
  text = ' x '.join(map(str, (batch, height, width, channels + 1)))
  size = 4 * batch * height * width * (channels + 1)
  rows.append(_row('a batch, input and masks, float32', text, size))
  return page.table(rows)


def _row(what, shape, size):
  return {'on disk or in memory': what, 'shape': shape, 'size': _text(size)}


def _on_disk(folder):
  return sum(x.stat().st_size for x in folder.iterdir() if x.is_file())


def _text(size):
  """Returns bytes in words."""
  return f'{size / 1e6:,.1f} MB' if size < 1e9 else f'{size / 1e9:,.2f} GB'
