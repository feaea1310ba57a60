"""Photos -> logits of one or more trained networks, in three stages.

`inputs` reduces photos to the networks' sizes, `predictions` asks the networks
batch by batch, and where there are second networks these look at tiles along
the border. Evaluation, prediction and submission share them, so a predicted
mask is exactly the one that is scored.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import jax
import numpy as np
from flax import linen as nn

from carvana_jax.datasets import empty_studio, prepare, spec
from carvana_jax.datasets.multiview import cropping
from carvana_jax.datasets.names import group_word
from carvana_jax.inference.prediction import Given, Input, Prediction, fit
from carvana_jax.inference.tiles import TiledPhoto
from carvana_jax.parallel import device_memory, devices
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError
from carvana_jax.training import steps, trained_run

T = TypeVar('T')


def inputs(
  cars: Iterable[Sequence[T]],
  load: Callable[[T], np.ndarray],
  data_configs: Sequence,
  failed: Callable[[T, UserError], None] | None = None,
  keep_photos: bool = False,
) -> Iterator[tuple[T, Given]]:
  """Reduces photos to the networks' sizes, on all cores.

  Args:
    cars: the photos of one car after the other, in any form. Second networks
      compare those of a car with the empty studio that they show together.
    load: returns a photo's pixels, uint8 [H, W, 3], or raises a `UserError`.
    data_configs: `config.data` of each network: its size, how photos are
      brought to it, and whether it is given differences between the views of a
      car. If one is, a whole car at a time is held in memory, else a few
      photos.
    failed: called with each photo that could not be loaded and its error; the
      photo is left out. None: the error is raised.
    keep_photos: whether the photos' own pixels are wanted, too.

  Yields:
    Every photo, as it came, and what the networks are given of it.

  Raises:
    UserError: a photo could not be loaded, if `failed` is None.
  """

  def attempt(photo, use=lambda pixels: pixels):
    """Returns (photo, result, error), to run in threads."""
    try:
      return photo, use(load(photo)), None
    except UserError as error:
      return photo, None, error

  def without_failures(results):
    for photo, result, error in results:
      if error is None:
        yield photo, result
      elif failed is None:
        raise error
      else:
        failed(photo, error)

  if not any(config.multiview for config in data_configs):
    reduce = lambda pixels: _reduce(pixels, data_configs, keep_photos)
    photos = ((car, x) for car, views in enumerate(cars) for x in views)
    results = threads.ordered_map(
      lambda pair: (pair[0], attempt(pair[1], reduce)), photos
    )
    yield from without_failures(
      (photo, given and given._replace(car=car), error)
      for car, (photo, given, error) in results
    )
    return
  word = group_word(data_configs[0].dataset)
  for number, car in enumerate(cars):
    loaded = list(threads.ordered_map(attempt, car))
    photos = list(without_failures(_fail_other_sizes(loaded, word)))
    if photos:
      for photo, given in _compare_views(photos, data_configs, keep_photos):
        yield photo, given._replace(car=number)


def _fail_other_sizes(results, word):
  """Adds an error to a car's photos that differ in size from its first."""
  sizes = [pixels.shape[:2] for _, pixels, _ in results if pixels is not None]
  for photo, pixels, error in results:
    if pixels is not None and pixels.shape[:2] != sizes[0]:
      error = UserError(
        f'{photo} is {_size_text(pixels.shape)}, but other photos of its '
        f'{word} are {_size_text(sizes[0])}; remove one or the other.'
      )
      pixels = None
    yield photo, pixels, error


def _size_text(shape):
  return f'{shape[0]}x{shape[1]}'


def _reduce(pixels, data_configs, keep):
  """Brings a photo to every network's size, once for equal sizes."""
  ways = [(spec.parse_size(x.size), x.fit) for x in data_configs]
  small = {way: fit(pixels, *way) for way in ways}
  chosen = tuple(small[way] for way in ways)
  return Given(chosen, pixels.shape[:2], pixels if keep else None)


def _compare_views(photos, data_configs, keep):
  """As `inputs`, for one car's loaded photos, with differences where asked."""
  names, pixels = zip(*photos, strict=True)
  crops = {
    config.size: _crops(pixels, spec.parse_size(config.size))
    for config in data_configs
    if config.multiview
  }
  plain = threads.ordered_map(lambda x: _reduce(x, data_configs, keep), pixels)
  for number, (name, given) in enumerate(zip(names, plain, strict=True)):
    chosen = tuple(
      crops[config.size][number] if config.multiview else whole
      for config, whole in zip(data_configs, given.inputs, strict=True)
    )
    yield name, given._replace(inputs=chosen)


def _crops(pixels, size):
  """Crops all views of a car, with their differences: six channels each."""
  return [
    Input(np.concatenate([view.image, view.difference], axis=-1), view.box)
    for view in cropping.views(pixels, *size)
  ]


def predictions(
  runs: Sequence[trained_run.Run],
  given: Iterable[tuple[T, Given]],
  wanted: Callable[[T], bool] = lambda photo: True,
) -> Iterator[tuple[T, Prediction]]:
  """Asks the networks, and their second networks where they have any.

  The answers are the same for any `eval.batch_size` and number of devices,
  except on a CPU with more devices than cores, whose threads split sums
  otherwise.

  Args:
    runs: trained networks.
    given: photos of any sizes and what the networks are given of them, as of
      `inputs`, with `keep_photos` where a run has a second network.
    wanted: whether second networks look at a photo, and not only use what it
      shows of the empty studio.

  Returns:
    An iterator over every photo, as it came, and the networks' answers.
  """
  predicted = _first_predictions(runs, given)
  for number, run in enumerate(runs):
    if run.fine:
      predicted = _refine(predicted, number, run.fine, wanted)
  return predicted


def _first_predictions(runs, given):
  """As `predictions`, without second networks."""
  each = images_at_once()
  step = devices.eval_step(
    make_logit_step(
      [run.model for run in runs],
      [run.config.eval.flip for run in runs],
      each,
    )
  )
  variables = tuple(run.variables for run in runs)
  # The devices of this machine may be others than the run's.
  multiple = jax.local_device_count() * each
  batch_size = -(-runs[0].config.eval.batch_size // multiple) * multiple
  waiting = collections.deque()  # photos of the batches under way

  def batches():
    stream = iter(given)
    while photos := list(itertools.islice(stream, batch_size)):
      waiting.append(photos)
      yield _batch([item.inputs for _, item in photos], batch_size)

  def answers(results):
    logits = devices.to_host(results)
    for number, (photo, item) in enumerate(waiting.popleft()):
      yield photo, Prediction(tuple(x[number] for x in logits), item)

  # One batch is computed while the one before is looked at.
  before = None
  with device_memory.explained(lambda: remedy(runs, each)):
    for batch in devices.to_devices(batches(), ahead=1):
      results = step(variables, batch)
      if before is not None:
        yield from answers(before)
      before = results
    if before is not None:
      yield from answers(before)


def images_at_once() -> int:
  """Returns how many images a device is best given at a time."""
  # One image keeps a core busy, but no accelerator.
  return 1 if jax.default_backend() == 'cpu' else 8


def remedy(runs: Sequence[trained_run.Run], images: int) -> str:
  """Returns what to do where networks need more memory than there is.

  Args:
    runs: the networks.
    images: how many images each device is given at a time.
  """
  sizes = ', '.join(sorted({run.config.data.size for run in runs}))
  choices = ['end other programs on the device']
  if len(runs) > 1:
    choices.append('give fewer --workdir')
  if jax.default_backend() != 'cpu':
    choices.append('set JAX_PLATFORMS=cpu, which takes longer')
  return (
    f'with {images} image(s) of {sizes} at a time; {", or ".join(choices)}.'
  )


def _refine(predicted, number, fine, wanted):
  """Asks a second network wherever the first one is in doubt.

  Args:
    predicted: as returned by `_first_predictions`.
    number: which of the networks the second one is for.
    fine: the run of the second network.
    wanted: whether it looks at a photo.

  Yields:
    As `predictions`; that network's logits have the photo's size.
  """
  channels = prepare.input_shape(fine.config.data)[-1]
  waiting = collections.deque()

  def tiles():
    for item in _tiled(predicted, number, fine.config.data):
      if not wanted(item.photo):
        item.leave()
      waiting.append(item)
      for cell in item.cells:
        yield (item, cell), item.given(cell, channels)

  def done():
    while waiting and not waiting[0].left:
      yield waiting.popleft().result()

  for (item, cell), answer in _first_predictions([fine], tiles()):
    item.replace(cell, answer.logits[0])
    yield from done()


def _tiled(predicted, number, data_config):
  """Yields the photos, tiled; compared with the empty studio where asked for.

  Then as many photos of a car as `empty_studio.MOST_VIEWS` are in memory.
  """
  tile = lambda pair: TiledPhoto(
    *pair, number, spec.parse_size(data_config.size)
  )
  if not data_config.empty_studio:
    yield from map(tile, predicted)
    return
  for _, views in itertools.groupby(predicted, lambda pair: pair[1].given.car):
    while some := list(itertools.islice(views, empty_studio.MOST_VIEWS)):
      items = list(threads.ordered_map(tile, some))
      studio = empty_studio.find(
        [x.pixels for x in items], [x.coarse for x in items]
      )
      for view, item in enumerate(items):
        item.compare(studio, view)
        yield item


def _batch(items, size):
  """Stacks each network's images, the first repeated where there are few."""
  padded = items + items[:1] * (size - len(items))
  return tuple(
    np.stack([network_input.image for network_input in network])
    for network in zip(*padded, strict=True)
  )


def make_logit_step(
  models: Sequence[nn.Module], flips: Sequence[bool], chunk: int
) -> Callable[..., tuple[jax.Array, ...]]:
  """Makes the function that asks all networks about a batch, to run by pmap.

  However many images there are, the networks see `chunk` at a time. So the
  same program computes each, and a sum is taken in the same order and has the
  same last bits whatever the size of the batch and the number of devices.

  Args:
    models: Linen networks.
    flips: for each, whether to average with the logits of the mirrored image.
    chunk: how many images at a time, a divisor of b.

  Returns:
    A function `(variables, batches) -> logits` of tuples with an item for each
    network: batches uint8 [b, h, w, C], logits [b, h, w].
  """

  def step(variables, batches):
    return tuple(
      _chunked(lambda image, item=item: logits(*item, image), images, chunk)
      for item, images in zip(
        zip(models, flips, variables, strict=True), batches, strict=True
      )
    )

  return step


def _chunked(function, images, chunk):
  """Applies a function to [b, ...] in pieces of [chunk, ...]."""
  chunks = images.reshape(-1, chunk, *images.shape[1:])
  result = jax.lax.map(function, chunks)
  return result.reshape(-1, *result.shape[2:])


def logits(model, flip, variables, image):
  """Asks one network, on demand about the mirrored image as well."""
  image = steps.unit(image)
  logits = model.apply(variables, image, train=False)
  if flip:
    mirrored = model.apply(variables, image[:, :, ::-1], train=False)
    logits = (logits + mirrored[:, :, ::-1]) / 2
  return logits
