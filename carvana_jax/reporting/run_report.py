"""The page on a run: scores, curves, pictures, layers."""

import math
import pathlib

import numpy as np

from carvana_jax import models
from carvana_jax.datasets import images, names, prepare
from carvana_jax.evaluation import results
from carvana_jax.models import layer_table
from carvana_jax.reporting import (
  cards,
  diagram,
  next_steps,
  overlays,
  page,
  plots,
  score_tables,
  studio_section,
)
from carvana_jax.system.errors import UserError
from carvana_jax.training import network_file, run_folder

_SHOWN = 10  # of the best images, and of the worst, of an evaluation
_PICTURED = 3  # evaluations whose images are shown, a megabyte each
_SHEETS = 6  # of sample predictions
_SHEET_WIDTH = 720  # pixels
_CURVES = {
  'loss': ('train/loss', 'validation/loss'),
  "Dice at the network's size": ('train/dice', 'validation/dice'),
  "IoU at the network's size": ('train/iou', 'validation/iou'),
  "accuracy at the network's size": ('train/accuracy', 'validation/accuracy'),
  'images a second': ('images_per_second',),
}


def report(workdir: pathlib.Path) -> str:
  """Returns the page on a run, with whatever there is of it so far.

  Args:
    workdir: the folder of the run.

  Returns:
    A document in HTML that needs no other files.

  Raises:
    UserError: the folder holds no run, or a file in it is damaged.
  """
  network_file.refuse(workdir)
  config = run_folder.read_config(workdir)
  evaluations = results.read(workdir)
  # Pictures take most of the page, so those of the test cars come first.
  tests = [one for one in evaluations if one.of_test]
  pictured = (tests or evaluations)[:_PICTURED]
  metrics = run_folder.read_metrics(workdir)
  sections = [
    ('Scores at full size', score_tables.summary_table(evaluations)),
    (
      "Scores at the network's size, not comparable with Dice at full size",
      score_tables.network_size_table(results.read_at_network_size(workdir)),
    ),
    ('Learning curves', _curves(workdir, metrics)),
  ]
  for one in evaluations:
    shown = _SHOWN if one in pictured else 0
    ideas = next_steps.sentences(one, evaluations, metrics, config)
    sections.append((f'{one.name}: where the error sits', _where(one, ideas)))
    sections += _evaluation(workdir, one, shown)
  sections += [
    ('The empty studio', studio_section.section(workdir, evaluations)),
    ('Sample predictions while training', _sheets(workdir / 'pictures')),
    ('Layers', _layers(config, workdir)),
    ('Started with', _starts(workdir)),
    ('Config', page.preformatted(config.to_json(indent=2))),
  ]
  return page.page(workdir.name, sections)


def _curves(workdir, rows):
  for row in rows:
    if row.get('epoch', 0) < 1:
      raise UserError(
        f'{workdir / "metrics.jsonl"} does not tell the epoch of step '
        f'{row["step"]}; remove that line.'
      )
  epochs = _epochs(rows)
  values = lambda name: [row.get(name, math.nan) for row in rows]
  curves = (
    plots.curves(title, epochs, {name: values(name) for name in names})
    for title, names in _CURVES.items()
    if rows
  )
  return page.grid(curves, 'plots')


def _epochs(rows):
  """How many epochs each row of metrics.jsonl comes after, with fractions.

  A run that is stopped within an epoch leaves a row there and, once it has gone
  on, another one at the epoch's end.
  """
  # A row within an epoch has fewer steps for its epoch than the row at its end,
  # so this is exact as soon as the first epoch is over.
  steps_per_epoch = max((row['step'] / row['epoch'] for row in rows), default=1)
  return [row['step'] / steps_per_epoch for row in rows]


def _where(evaluation, ideas):
  """Wrong pixels by their distance from the border, and what follows."""
  if not evaluation.errors:
    return ''
  counts = lambda name: [float(row[name]) for row in evaluation.errors]
  word = names.object_word(evaluation.summary.get('dataset', ''))
  plot = plots.bars(
    'wrong pixels by distance from the border, in pixels',
    score_tables.band_names(evaluation),
    {
      f'added: background taken for {word}': counts('added'),
      f'missed: {word} taken for background': counts('missed'),
    },
    (overlays.ADDED, overlays.MISSED),
  )
  return (
    page.grid([plot, score_tables.error_table(evaluation)], 'plots')
    + '<h3>What would come next</h3>\n'
    + page.bullets(ideas)
  )


def _evaluation(workdir, evaluation, shown):
  """Sections on the images of one evaluation.

  Args:
    workdir: the folder of the run.
    evaluation: the evaluation, from `results.read`.
    shown: how many of the best images, and of the worst, get pictures.
  """
  rows = evaluation.images
  word = names.object_word(evaluation.summary.get('dataset', ''))
  dice = [float(row['dice']) for row in rows]
  plot = [plots.histogram('Dice of the images', dice)] if dice else []
  worst, best = rows[:shown], rows[shown:][-shown:][::-1] if shown else []
  made = cards.cards(workdir, evaluation.summary, worst + best)
  worst_shown = score_tables.image_table(rows[:_SHOWN], word)
  if made:
    worst_shown = page.legend(word) + page.grid(made[: len(worst)], 'cards')
  groups = score_tables.group_tables(evaluation)
  name = evaluation.name
  return [
    (f'{name}: distribution', page.grid(plot, 'plots')),
    (f'{name}: worst', worst_shown),
    (f'{name}: best', page.grid(made[len(worst) :], 'cards')),
    (f'{name}: groups', page.grid(groups, 'cards')),
  ]


def _sheets(folder):
  """Some of the sample sheets, from the first to the last."""
  # By length first: epoch 1000 comes after 999.
  paths = sorted(folder.glob('epoch_*.png'), key=lambda p: (len(p.name), p))
  chosen = np.linspace(0, len(paths) - 1, min(len(paths), _SHEETS)).round()
  return page.grid((_sheet(paths[i]) for i in chosen.astype(int)), 'cards')


def _sheet(path):
  try:
    pixels = images.decode_photo(path.read_bytes())
  except ValueError as error:
    raise UserError(f'{path} is {error}; remove it.') from error
  epoch = path.stem.removeprefix('epoch_').lstrip('0')
  when = f'after epoch {epoch}' if epoch else 'before the first step'
  return page.figure(
    page.image(overlays.jpeg(pixels, _SHEET_WIDTH), path.stem),
    f'{when}: input, target, prediction',
  )


def _layers(config, workdir):
  try:
    model = models.build(config.model)
    shape = prepare.input_shape(config.data)
    freeze = config.train.freeze
  except (AttributeError, TypeError) as error:
    raise UserError(
      f'{workdir / "config.json"} does not tell the network ({error}); remove '
      'it, and start the run again with its config.'
    ) from error
  layers = layer_table.layers(model, shape, freeze)
  drawn = diagram.draw(layers, config.model.name, models.skips(model))
  text = f'{layer_table.table(layers)}\n{layer_table.totals(layers)}'
  return page.drawing(plots.svg(drawn)) + page.preformatted(text)


def _starts(workdir):
  lines = []
  for start in run_folder.read_starts(workdir):
    lines += [f'{name:9} {text}' for name, text in start.items()] + ['']
  return page.preformatted('\n'.join(lines).strip()) if lines else ''
