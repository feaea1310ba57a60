"""Writes one page on a run: report.html, which needs nothing else to be seen.

    python -m carvana_jax.report --workdir=runs/a

Learning curves, scores, the best and the worst predictions, groups, the layers.
Can be made while a run is going on; then what isn't there yet is left out.
"""

import csv
import json
import pathlib

import numpy as np
import tensorflow_datasets as tfds
from absl import flags

from carvana_jax import (
  atomic,
  checkpoint,
  cli,
  diagram,
  models,
  predictor,
  prepare,
  summary,
)
from carvana_jax.datasets import images
from carvana_jax.datasets.multiview import cars
from carvana_jax.reporting import overlays, page, plots
from carvana_jax.workdir import read_config, read_starts

_SHOWN = 10  # of the best images, and of the worst
_CURVES = {
  'loss': ('train/loss', 'validation/loss'),
  "Dice at the network's size": ('train/dice', 'validation/dice'),
  "accuracy at the network's size": ('train/accuracy', 'validation/accuracy'),
  'images a second': ('images_per_second',),
}
_SCORES = (
  'dice_mean', 'dice_median', 'dice_worst', 'ceiling_soft_mean', 'iou_mean',
  'accuracy_mean', 'surface_distance_mean', 'hausdorff_95_mean', 'images',
  'cars', 'size', 'step',
)  # fmt: skip


def report(workdir: pathlib.Path) -> str:
  """The page on a run, with whatever there is of it so far.

  Raises:
    UserError: the folder holds no run.
  """
  config = read_config(workdir)
  evaluations = [
    path.parent for path in sorted(workdir.glob('evaluation/*/summary.json'))
  ]
  sections = [
    ('Started with', _starts(workdir)),
    ('Scores at full size', _scores(evaluations)),
    ('Learning curves', _curves(workdir / 'metrics.jsonl')),
  ]
  for folder in evaluations:
    if folder.name.endswith('-test'):
      sections += _evaluation(workdir, folder)
  sections += [
    ('Sample predictions while training', _pictures(workdir / 'pictures')),
    ('Layers', _layers(config)),
    ('Config', page.preformatted(config.to_json(indent=2))),
  ]
  return page.page(workdir.name, sections)


def _starts(workdir):
  lines = []
  for start in read_starts(workdir):
    lines += [f'{name:9} {text}' for name, text in start.items()] + ['']
  return page.preformatted('\n'.join(lines).strip()) if lines else ''


def _scores(evaluations):
  rows = []
  for folder in evaluations:
    found = json.loads((folder / 'summary.json').read_text())
    rows.append(
      {'of': folder.name} | {name: found.get(name, '') for name in _SCORES}
    )
  return page.table(rows)


def _curves(path):
  if not path.exists():
    return ''
  # A line without its end is just being written.
  lines = path.read_text().splitlines(keepends=True)
  rows = [json.loads(line) for line in lines if line.endswith('\n')]
  epochs = [row['epoch'] for row in rows]
  return page.grid(
    (
      plots.curves(title, epochs, {n: [row[n] for row in rows] for n in names})
      for title, names in _CURVES.items()
      if rows
    ),
    'plots',
  )


def _evaluation(workdir, folder):
  """Sections on the images of one evaluation."""
  rows = _rows(folder / 'images.csv')
  dice = [float(row['dice']) for row in rows]
  plot = plots.histogram('Dice of the images', dice)
  groups = _rows(folder / 'groups.csv')
  tables = [
    page.table(
      [
        {by: row['group']}
        | {name: _number(row[name]) for name in list(row)[2:]}
        for row in groups
        if row['by'] == by
      ]
    )
    for by in dict.fromkeys(row['by'] for row in groups)
  ]
  worst, best = rows[:_SHOWN], rows[_SHOWN:][-_SHOWN:][::-1]
  cards = _cards(workdir, folder, worst + best)
  return [
    (f'{folder.name}: distribution', page.grid([plot], 'plots')),
    (
      f'{folder.name}: worst',
      _after(page.legend(), page.grid(cards[: len(worst)], 'cards')),
    ),
    (f'{folder.name}: best', page.grid(cards[len(worst) :], 'cards')),
    (f'{folder.name}: groups', page.grid(tables, 'cards')),
  ]


def _after(text, content):
  """A text before a content, if there is one."""
  return text + content if content else ''


def _rows(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def _number(text):
  """A number of a csv file as such, words as they are."""
  try:
    return float(text) if '.' in text else int(text)
  except ValueError:
    return text


def _cards(workdir, folder, rows):
  """Photo, errors, target and prediction of each row's image.

  Nothing where the network that was scored is no longer the best of the run.
  """
  found = json.loads((folder / 'summary.json').read_text())
  if not checkpoint.exists(workdir) or not pathlib.Path(found['data']).exists():
    return []
  run = checkpoint.load(workdir)
  if run.step != found['step']:
    return []
  run.config.eval.flip = found['flip']
  names = {row['filename'] for row in rows}
  seen = _predictions(run, found['data'], found['split'], names)
  return [_card(row, *seen[row['filename']]) for row in rows]


def _card(row, photo, predicted, actual):
  picture = lambda pixels, text: page.image(overlays.jpeg(pixels), text)
  mask = lambda values: values.view(np.uint8) * np.uint8(255)
  name = row['filename']
  return page.figure(
    page.comparison(
      picture(photo, name),
      picture(overlays.errors(photo, predicted, actual), f'errors of {name}'),
    )
    + '<div class="small">'
    + picture(mask(actual), f'target of {name}')
    + picture(mask(predicted), f'prediction of {name}')
    + '</div>',
    f'{name} · Dice {float(row["dice"]):.5f} · border '
    f'{float(row["surface_distance"]):.2f} pixels · {row["colour"]} '
    f'{row["make"]} {row["model"]}',
  )


def _predictions(run, data, split, names):
  """{filename: (photo, predicted mask, actual mask)}, at full size."""
  builder = tfds.builder_from_directory(data)
  skip = tfds.decode.SkipDecoding()
  source = builder.as_data_source(split, decoders={'image': skip, 'mask': skip})
  size = builder.info.features['image'].shape[:2]
  wanted = {
    index
    for index in range(len(source))
    if source[index]['filename'].decode() in names
  }
  by_car = [
    car if run.config.data.multiview else sorted(wanted & set(car))
    for car in cars.cars_of(source).values()
    if wanted & set(car)
  ]
  photo = lambda index: images.decode_photo(source[index]['image'])
  given = predictor.inputs(by_car, photo, run.config.data)
  return {
    source[index]['filename'].decode(): (
      photo(index),
      predictor.mask_of(levels, run.config.eval),
      images.decode_mask(source[index]['mask']) > 127,
    )
    for index, levels in predictor.levels(run, given, size)
    if index in wanted
  }


def _pictures(folder):
  """Some of the sample sheets, from the first to the last."""
  paths = sorted(folder.glob('epoch_*.png'))
  if len(paths) > 6:
    chosen = np.linspace(0, len(paths) - 1, 6).round().astype(int)
    paths = [paths[i] for i in chosen]
  return page.grid(
    (
      page.figure(
        page.image(path.read_bytes(), path.stem, 'png'),
        f'{path.stem.replace("_", " ")}: input, target, prediction',
      )
      for path in paths
    ),
    'cards',
  )


def _layers(config):
  model = models.build(config.model)
  found = summary.layers(model, prepare.input_shape(config.data))
  drawing = plots.svg(
    diagram.draw(found, config.model.name, models.skips(model))
  )
  text = f'{summary.table(found)}\n{summary.totals(found)}'
  return f'{drawing}{page.preformatted(text)}'


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  workdir = pathlib.Path(args.workdir).expanduser().absolute()
  text = report(workdir)
  # A page is made from what is there, so an older one is no loss.
  atomic.write(workdir / 'report.html', text)
  print(f'written to {workdir / "report.html"}, {len(text) / 1e6:.1f} MB')


if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  cli.run(main)
