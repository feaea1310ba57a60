"""Plants wrong masks one by one and counts those that `doctor` finds.

    python -m benchmarks.wrong_labels --manual_dir=FOLDER
    python -m benchmarks.wrong_labels --data=data/studio/256x384/1.0.1

Every photo is compared with masks that are not its own, and changed photos with
their own: nothing of either kind touches another photo, so one wrong mask among
many is found as often as one of a car that is all wrong, or of a folder. The
last column is the car of which the fewest are found.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('manual_dir', None, "Folder of the competition's files.")
  flags.DEFINE_string('data', None, 'Folder of a prepared data set.')
  cli.parse()

import collections
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from carvana_jax.datasets import spec
from carvana_jax.datasets.diagnosis import (
  file_facts,
  mask_fit,
  misfits,
  pairs,
  report,
)
from carvana_jax.system import progress, threads

_MOVED = (0.01, 0.02, 0.04)  # of the width, in a random direction
_BLUR = 0.005  # of the width, a standard deviation
_NEIGHBOURS = {'of the next view': 1, 'of the view before': -1}


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  collection = report.collection_of(args.manual_dir, args.data)
  found = [pair() for pair in collection.pairs]
  photos = {(x.car_id, x.view): x for x in found if x.photo and x.mask}
  outcomes = threads.ordered_map(
    lambda key: list(_outcomes(key, photos, collection.soft)), photos
  )
  cars = collections.defaultdict(lambda: collections.defaultdict(list))
  bar = progress.bar(outcomes, total=len(photos), unit='photo')
  for (car, _), named in zip(photos, bar, strict=True):
    for kind, is_found in named:
      cars[kind][car].append(is_found)
  print('| mask | photos | named wrong | share | in a car |')
  print('|---|---|---|---|---|')
  for kind, by_car in cars.items():
    every = np.concatenate(list(by_car.values()))
    shares = [np.mean(x) for x in by_car.values()]
    worst = max(shares) if kind.startswith('right') else min(shares)
    print(
      f'| {kind} | {len(every)} | {sum(every)} | {np.mean(every):.1%} '
      f'| {worst:.0%} |'
    )


def _outcomes(
  key: tuple[str, int], photos: dict[tuple[str, int], pairs.Pair], soft: bool
) -> Iterator[tuple[str, bool]]:
  """Yields (kind, whether it is named wrong) of a photo."""
  pair = photos[key]
  photo, light = file_facts.read_photo(pair.photo.read())
  facts, own = file_facts.read_mask(pair.mask.read(), soft)

  def is_found(light: np.ndarray, mask: np.ndarray) -> bool:
    planted = facts._replace(fit=mask_fit.measure(light, mask))
    return any(misfits.misfits([file_facts.Facts(pair, photo, planted)]))

  def mask_of(other: tuple[str, int]) -> np.ndarray:
    return file_facts.read_mask(photos[other].mask.read(), soft)[1]

  (car, view), rng = key, np.random.default_rng(list(photos).index(key))
  others = [x for x in photos if x[0] != car and x[1] == view]
  yield 'right', is_found(light, own)
  if others:
    backdrop = _clutter(light.shape, _lights(others, photos, rng), rng)
    cover = cv2.resize(own, light.shape[::-1], interpolation=cv2.INTER_AREA)
    pasted = np.where(cover > 127, light, backdrop)
    yield 'right, among other cars', is_found(pasted, own)
  blur = cv2.GaussianBlur(light, (0, 0), _BLUR * light.shape[1])
  yield 'right, photo blurred', is_found(blur, own)
  yield 'inverted', is_found(light, 255 - own)
  yield 'mirrored', is_found(light, np.ascontiguousarray(own[:, ::-1]))
  yield 'upside down', is_found(light, np.ascontiguousarray(own[::-1]))
  for kind, step in _NEIGHBOURS.items():
    other = car, (view + step - 1) % spec.VIEWS + 1
    if other in photos:
      yield kind, is_found(light, mask_of(other))
  if others:
    other = others[rng.integers(len(others))]
    yield "of another car's view", is_found(light, mask_of(other))
  for share in _MOVED:
    yield f'moved by {share:.0%}', is_found(light, _moved(own, share, rng))


def _moved(mask, share, rng):
  height, width = mask.shape
  angle = rng.uniform(0, 2 * np.pi)
  across, down = share * width * np.cos(angle), share * width * np.sin(angle)
  move = np.float32([[1, 0, across], [0, 1, down]])
  return cv2.warpAffine(mask, move, (width, height))


def _lights(keys, photos, rng):
  """Returns a function that reads one of these photos, drawn at random."""
  drawn = [keys[i] for i in rng.integers(len(keys), size=4)]
  read = [file_facts.read_photo(photos[x].photo.read())[1] for x in drawn]
  return lambda: read[rng.integers(len(read))]


def _clutter(
  shape: tuple[int, int],
  draw: Callable[[], np.ndarray],
  rng: np.random.Generator,
) -> np.ndarray:
  """Returns a backdrop, uint8 [H, W], of pieces of the middle of photos."""
  canvas = np.zeros(shape, np.uint8)
  size = np.array(shape)
  for _ in range(40):
    high, wide = (size * rng.uniform(0.15, 0.45, 2)).astype(int)
    top, left = (rng.uniform(0.2, 0.5, 2) * size).astype(int)
    down, right = (rng.uniform(-0.1, 0.9, 2) * size).clip(0).astype(int)
    piece = draw()[top : top + high, left : left + wide]
    target = canvas[down : down + high, right : right + wide]
    target[:] = piece[: target.shape[0], : target.shape[1]]
  return canvas


if __name__ == '__main__':
  cli.run(main)
