"""What a second network is given of the empty studio, for the worst photos."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from carvana_jax.datasets import empty_studio, folds, images, names, spec
from carvana_jax.datasets.borders import borders_dataset_builder
from carvana_jax.evaluation.results import Evaluation
from carvana_jax.inference import second_network
from carvana_jax.reporting import (
  overlays,
  page,
  score_tables,
  scored_photos,
  studio_views,
)
from carvana_jax.system import threads
from carvana_jax.training import run_folder, saved_steps

_SHOWN = 6  # of the worst photos
_WIDTH = 960  # in which views are compared, in pixels
_TITLE = (
  'The second network is shown how a photo differs from the empty studio, as '
  'the views of one {word} show it together. Below is that of the worst photo.'
)
_HINTS = (
  'Left of the seam are photo and true mask, right of it photo minus empty '
  'studio, from the views as the first network sees them, in a smaller size.',
  'Plain grey is no difference. A checkerboard is where no other view shows '
  'the studio; it covers a photo that shows another studio.',
  'What should stand out is what first masks miss: aerials, mirrors, roof '
  'bars, a white roof before a white wall. Where all is grey on either side of '
  "the {word}'s border, the studio tells nothing.",
  'Shadows and reflections on the floor stand out as well, but softly; they '
  'are no part of the {word}.',
  'Lines of the wall that are seen twice, bright beside dark, are of a camera '
  'that has moved a little; a tint all over is of another light.',
)


class _Car(NamedTuple):
  """An object, and the empty studio behind it."""

  views: list['_View']
  studio: empty_studio.EmptyStudio | None


class _View(NamedTuple):
  """A view of an object, reduced."""

  name: str  # of the photo
  number: int
  photo: np.ndarray  # uint8 [H, W, 3]
  mask: np.ndarray  # uint8 [H, W], 0..255
  probability: np.ndarray  # uint8 [H, W], 0..255, of the first network
  factor: float  # how much smaller it is than the file, 0..1


def section(workdir: pathlib.Path, evaluations: Sequence[Evaluation]) -> str:
  """Shows what a run's second network is given of the empty studio.

  Args:
    workdir: the folder of the run.
    evaluations: of the run.

  Returns:
    HTML; '' where there is no second network that is given the empty studio, or
    no evaluation with it whose photos, and the first network's probabilities of
    them, are there.

  Raises:
    UserError: a file of these is damaged.
  """
  fine = second_network.folder_of(workdir)
  if not saved_steps.exists(fine):
    return ''
  data_config = run_folder.read_config(fine).data
  folder = second_network.probabilities_folder(workdir)
  if not data_config.empty_studio or not folder.exists():
    return ''
  fitting = [
    one
    for one in evaluations
    if one.summary.get('fine_step')
    and one.images
    and one.summary.get('dataset') == data_config.dataset
    and pathlib.Path(one.summary['data']).exists()
  ]
  if not fitting:
    return ''
  return _of(sorted(fitting, key=lambda x: not x.of_test)[0], folder)


def _of(evaluation, folder):
  """Shows the worst photos of an evaluation."""
  rows = evaluation.images[:_SHOWN]
  cars = _cars(evaluation, {row['car_id'] for row in rows}, folder)
  name = rows[0]['car_id']
  first = cars[name]
  sentences = studio_views.sentences(
    first.studio,
    [x.photo for x in first.views],
    [x.mask for x in first.views],
    [x.number for x in first.views],
    first.views[0].factor,
  )
  drawn = studio_views.pictures(first.studio) if first.studio else {}
  figures = [
    page.figure(_image(pixels, text), f'{name}: {text}')
    for text, pixels in drawn.items()
  ]
  cards = [
    _card(row, car, number)
    for row in rows
    for car in [cars[row['car_id']]]
    for number, view in enumerate(car.views)
    if view.name == row['filename']
  ]
  word = names.object_word(evaluation.summary['dataset'])
  return (
    page.bullets([_TITLE.format(word=word), *sentences])
    + page.grid(figures, 'plots')
    + '<h3>How the worst photos differ from it</h3>\n'
    + page.bullets(x.format(word=word) for x in _HINTS)
    + page.grid(cards, 'cards')
  )


def _cars(evaluation, wanted, folder):
  """Returns some objects by their ids."""
  source, part = scored_photos.of(evaluation.summary)
  read = lambda position: _read(source[position], folder)
  cars = {}
  for car, positions in folds.cars_of(source, part.all_views()).items():
    if car in wanted:
      some = positions[: empty_studio.MOST_VIEWS]
      views = list(threads.ordered_map(read, some))
      # Others can't be compared with the first.
      views = [x for x in views if x.photo.shape == views[0].photo.shape]
      studio = empty_studio.find(
        [x.photo for x in views], [x.probability for x in views]
      )
      cars[car] = _Car(views, studio)
  return cars


def _read(example, folder):
  name = example['filename'].decode()
  mask = images.decode_mask(example['mask'])
  height, width = mask.shape
  layers = (
    images.decode_photo(example['image']),
    mask,
    borders_dataset_builder.read_probability(
      folder, spec.stem_of(name), mask.shape
    ),
  )
  factor = min(1.0, _WIDTH / width)
  size = max(1, round(factor * height)), round(factor * width)
  small = (images.reduce(x, *size) for x in layers)
  return _View(name, int(example['view']), *small, factor)


def _card(row, car, number):
  """Shows a photo beside its difference from the empty studio."""
  view = car.views[number]
  given = empty_studio.difference(car.studio, number, view.photo)
  change = studio_views.on_checkerboard(given[..., :3], given[..., 3] > 0)
  outlined = overlays.outlined(view.photo, view.mask, overlays.WIDTH)
  pair = page.comparison(
    _image(outlined, f'photo and true mask of {view.name}'),
    _image(change, f'difference from the empty studio of {view.name}'),
  )
  return page.figure(pair, score_tables.image_line(row))


def _image(pixels, text):
  return page.image(overlays.jpeg(pixels, overlays.WIDTH), text)
