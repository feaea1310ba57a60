"""Cards of single images: photo, errors, masks and cut-outs."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from carvana_jax.datasets import folds, images
from carvana_jax.inference import predictor, second_network
from carvana_jax.masks import from_logits
from carvana_jax.reporting import overlays, page, score_tables, scored_photos
from carvana_jax.training import saved_steps, trained_run


def cards(
  workdir: pathlib.Path,
  summary: dict[str, Any],
  rows: Sequence[dict[str, str]],
) -> list[str]:
  """Predicts some images of an evaluation again, to show them.

  Args:
    workdir: the folder of the run.
    summary: what the evaluation's summary.json holds.
    rows: the rows of its images.csv that are wanted.

  Returns:
    A card for each row, as HTML; none where the network that was scored is not
    the best of its run any more, or where its data are gone.
  """
  data = pathlib.Path(summary['data'])
  if not rows or not saved_steps.exists(workdir) or not data.exists():
    return []
  fine_step = summary.get('fine_step')
  if fine_step and not saved_steps.exists(second_network.folder_of(workdir)):
    return []
  run = trained_run.load(workdir)
  if run.step != summary['step']:
    return []
  if fine_step:
    run = second_network.with_second_network(workdir, run)
    if run.fine.step != fine_step:
      return []
  if summary.get('network', run.digest()) != run.digest():  # trained anew
    return []
  run.config.eval.flip = summary.get('flip') is True
  made = _cards(run, summary, rows)
  names = [row['filename'] for row in rows]
  # The folder of the data may hold other images by now.
  return [made[name] for name in names] if made.keys() == set(names) else []


def _cards(run, summary, rows):
  """{filename: card}, from predictions at full size."""
  by_name = {row['filename']: row for row in rows}
  source, part = scored_photos.of(summary)
  name = lambda index: source[index]['filename'].decode()
  photo = lambda index: images.decode_photo(source[index]['image'])
  shown = {row['car_id'] for row in rows}
  # As in the evaluation.
  multiview = run.config.data.multiview
  cars = folds.cars_of(
    source, part.all_views() if multiview else part.positions
  )
  by_car = [car for id_, car in cars.items() if id_ in shown]
  is_shown = lambda index: name(index) in by_name
  if not run.compares_views:  # then the other views are not needed
    by_car = [list(filter(is_shown, car)) for car in by_car]
  given = predictor.inputs(
    by_car, photo, [run.config.data], keep_photos=run.fine is not None
  )
  return {
    name(index): card(
      by_name[name(index)],
      photo(index),
      from_logits.mask_of(prediction.levels(), run.config.eval),
      images.decode_mask(source[index]['mask']) > 127,
    )
    for index, prediction in predictor.predictions([run], given, is_shown)
    if is_shown(index)
  }


def card(
  row: dict[str, str],
  photo: np.ndarray,
  predicted: np.ndarray,
  actual: np.ndarray,
) -> str:
  """Returns the card of one image, as HTML.

  Args:
    row: the image's row of images.csv.
    photo: uint8 [H, W, 3].
    predicted: bool [H, W], the predicted mask.
    actual: bool [H, W], the true mask.
  """
  name = row['filename']
  picture = lambda pixels, text, width=overlays.WIDTH: page.image(
    overlays.jpeg(pixels, width), f'{text} {name}'
  )
  masks = {'target': actual, 'prediction': predicted}
  half = overlays.WIDTH // 2
  return page.figure(
    page.comparison(
      picture(photo, 'photo'),
      picture(overlays.errors(photo, predicted, actual), 'errors of'),
    )
    + '<div class="small">'
    + ''.join(
      picture(images.mask_pixels(mask), f'{kind} of', half)
      for kind, mask in masks.items()
    )
    + ''.join(
      picture(overlays.cut_out(photo, mask), f'cut-out by the {kind} of', half)
      for kind, mask in masks.items()
    )
    + '</div>',
    score_tables.image_line(row),
  )
