"""Times the stages of a submission one by one on one core; see `predict.py`."""

import contextlib
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

from carvana_jax.datasets import decoding, spec
from carvana_jax.inference import finding, networks, predictor
from carvana_jax.masks import from_logits
from carvana_jax.submission import parts, rle


class Cost(NamedTuple):
  """What a stage takes."""

  wall: float  # ms an image
  cpu: float  # ms an image, of all threads


class Clock:
  """Adds up what stages take, for some photos."""

  def __init__(self, count: int):
    self._count = count
    self.costs = {}  # Cost, by stage

  @contextlib.contextmanager
  def __call__(self, stage: str) -> Iterator[None]:
    """Times what is done within."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    taken = time.perf_counter() - wall, time.process_time() - cpu
    before = self.costs.get(stage, Cost(0, 0))
    added = (1000 * x / self._count for x in taken)
    self.costs[stage] = Cost(*map(sum, zip(before, added, strict=True)))


def measure(workdir: str, folder: str, count: int) -> dict[str, Cost]:
  """Times a submission's stages one by one, on one core from then on.

  Args:
    workdir: the folder of the run.
    folder: the folder of the photos.
    count: how many photos are looked at.

  Returns:
    What each stage takes, in their order.
  """
  # Before JAX starts as many threads as there are cores.
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  nets = networks.load([workdir], tuned=False)
  found = {photo.file: photo for photo in finding.find(folder)[:count]}
  cars = nets.group(list(found))
  for _ in range(2):  # the first time, memory is new and has to be fetched
    clock = Clock(count)
    _take(nets, cars, found, clock)
  return clock.costs


def _take(nets, cars, found, clock):
  given = _given(cars, found, nets, clock)
  runs = {
    name: _encoded(prediction, nets.masking, clock)
    for name, prediction in _predicted(nets.runs, given, clock)
  }
  with tempfile.TemporaryDirectory() as temporary:
    store = parts.Parts.open(pathlib.Path(temporary) / 'a.csv', cars, {})
    collector = parts.Collector(store, range(store.count))
    with clock('write'):
      for name, text in runs.items():
        collector.add(name, parts.Row(text))
      store.join()


def _given(cars, found, nets, clock):
  """Reads what the network is given, with a car's worth of photos at a time."""
  at_once = 1 if nets.multiview else spec.VIEWS
  given = []
  for start in range(0, len(cars), at_once):
    group = cars[start : start + at_once]
    names = [name for car in group for name in car]
    with clock('read'):
      data = {name: found[name].read() for name in names}
    with clock('decode'):
      pixels = {name: decoding.decode(data[name]) for name in names}
    with clock('reduce'):
      given += predictor.inputs(group, pixels.get, nets.data_configs)
  return given


def _predicted(runs, given, clock):
  stream = predictor.predictions(runs, given + given)
  for _ in given:  # compiles
    next(stream)
  with clock('network'):
    return list(stream)


def _encoded(prediction, masking, clock):
  (logits,), (item,) = prediction.logits, prediction.given.inputs
  with clock('enlarge'):
    large = from_logits.enlarge(logits, prediction.given.size, item.box)
  with clock('threshold'):
    mask = from_logits.mask_of(from_logits.quantize(large), masking)
  with clock('encode'):
    return rle.encode(mask)


def table(costs: dict[str, Cost]) -> str:
  """Returns a line for each stage, their sum, and which is the slowest."""
  total = Cost(*map(sum, zip(*costs.values(), strict=True)))
  lines = [
    f'{"one core":9} {"wall ms":>9} {"CPU ms":>9} {"images/s":>10} {"share":>7}'
  ]
  for stage, cost in [*costs.items(), ('all', total)]:
    lines.append(
      f'{stage:9} {cost.wall:9.2f} {cost.cpu:9.2f} {1000 / cost.wall:10,.1f} '
      f'{cost.wall / total.wall:7.1%}'
    )
  slowest = max(costs, key=lambda stage: costs[stage].wall)
  return '\n'.join([*lines, f'slowest: {slowest}'])
