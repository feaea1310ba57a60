"""Photos -> masks at the photos' own size, with a trained network.

Evaluation and prediction share these, so a predicted mask is exactly the one
that is scored.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import cv2
import jax
import numpy as np

from carvana_jax import checkpoint, parallel, steps, thresholds
from carvana_jax.datasets import images, spec, workers
from carvana_jax.datasets.multiview import views

T = TypeVar('T')


class Input(NamedTuple):
  """What a network is given of a photo."""

  image: np.ndarray  # uint8 [h, w, C]
  box: np.ndarray | None  # int32 [4], see `views.View`; None: the whole photo


def inputs(
  cars: Iterable[Sequence[T]], load: Callable[[T], np.ndarray], data_config
) -> Iterator[tuple[T, Input]]:
  """Reduces photos to the network's size, on all cores.

  Args:
    cars: the photos of one car after the other, in any form.
    load: gives a photo's pixels, uint8 [H, W, 3].
    data_config: `config.data` of the run: size, and whether a network is given
      differences between the views of a car. If so, one car at a time is held
      in memory, else a few photos.

  Yields:
    Every photo, as it came, and what the network is given of it.
  """
  size = spec.parse_size(data_config.size)
  if not data_config.multiview:
    reduced = lambda photo: Input(images.reduce(load(photo), *size), None)
    yield from workers.ordered_map(
      lambda photo: (photo, reduced(photo)), itertools.chain.from_iterable(cars)
    )
    return
  for car in cars:
    yield from zip(car, _compared(car, load, size), strict=True)


def _compared(car, load, size):
  """Inputs of a car's photos, which are forgotten on return."""
  photos = list(workers.ordered_map(load, car))
  return [
    Input(np.concatenate([view.image, view.difference], axis=-1), view.box)
    for view in views.views(photos, *size)
  ]


def levels(
  run: checkpoint.Run,
  given: Iterable[tuple[T, Input]],
  size: tuple[int, int],
) -> Iterator[tuple[T, np.ndarray]]:
  """Probabilities of photos that all have one size.

  Args:
    run: a trained network.
    given: photos and their inputs, as from `inputs`.
    size: (H, W) of the photos.

  Yields:
    Every photo, as it came, and the probability of car in 256 levels, uint8
    [H, W], see `thresholds`.
  """
  step = parallel.eval_step(
    steps.make_level_step(run.model, size, run.config.eval.flip)
  )
  # The devices of this machine may be others than the run's.
  devices = jax.local_device_count()
  batch_size = -(-run.config.eval.batch_size // devices) * devices
  waiting = collections.deque()  # photos of the batches under way

  def batches():
    stream = iter(given)
    while chunk := list(itertools.islice(stream, batch_size)):
      photos, items = zip(*chunk, strict=True)
      waiting.append(photos)
      yield _batch(items, batch_size)

  for batch in parallel.to_devices(batches(), ahead=1):
    found = parallel.to_host(step(run.variables, batch))
    yield from zip(waiting.popleft(), found, strict=False)


def mask_of(levels: np.ndarray, eval_config) -> np.ndarray:
  """The mask that `config.eval` makes of probabilities.

  Args:
    levels: uint8 [H, W].
    eval_config: `config.eval`: threshold and whether holes are filled.

  Returns:
    bool [H, W].
  """
  mask = levels >= thresholds.level_of(eval_config.threshold)
  return fill_holes(mask) if eval_config.fill_holes else mask


def _batch(items, size):
  """Stacks inputs, the first of them repeated where there are too few."""
  items += items[:1] * (size - len(items))
  batch = {'image': np.stack([item.image for item in items])}
  if items[0].box is not None:
    batch['box'] = np.stack([item.box for item in items])
  return batch


def fill_holes(mask: np.ndarray) -> np.ndarray:
  """Makes car of all background that does not touch the picture's edge.

  Args:
    mask: bool [H, W].

  Returns:
    bool [H, W].
  """
  # A frame of background joins what touches the edge; 1 car, 2 outside.
  framed = np.pad(mask.astype(np.uint8), 1)
  cv2.floodFill(framed, None, (0, 0), 2)
  return framed[1:-1, 1:-1] != 2
