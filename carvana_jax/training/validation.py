"""Scores and sample pictures at the network's size, for use while training.

Every process looks at its part of the split.
"""

import collections
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets.input_pipeline import RunData
from carvana_jax.parallel import devices, processes
from carvana_jax.training import logbook, steps


class Validation:
  """One network on one split, as often as wanted."""

  SAMPLES = 4

  def __init__(
    self,
    config: ConfigDict,
    model: Any,
    data: RunData,
    split: str = 'validation',
  ):
    self._batches = lambda: data.once(split)
    self._score = devices.eval_step(steps.make_validation_step(model, config))
    self._predict = devices.eval_step(steps.make_probability_step(model))

  def scores(self, variables: Any) -> dict[str, float]:
    """Means over the split's images of loss, dice, iou and accuracy."""
    sums = collections.Counter()
    for batch in devices.to_devices(self._batches()):
      values = devices.to_host(self._score(variables, batch))
      weight = devices.to_host(batch['weight'])
      sums['images'] += float(weight.sum())
      for name, value in values.items():
        sums[name] += float((value * weight).sum())
    parts = processes.gather(sums)
    totals = {name: sum(part[name] for part in parts) for name in sums}
    images = totals.pop('images')
    return {name: value / images for name, value in totals.items()}

  def pictures(self, variables: Any) -> np.ndarray:
    """Strips of a few photos, spread evenly over this process's first batch."""
    batch = next(iter(devices.to_devices(self._batches(), ahead=0)))
    probability = devices.to_host(self._predict(variables, batch))
    batch = devices.to_host(batch)
    real = int(batch['weight'].sum())
    chosen = np.linspace(0, real - 1, self.SAMPLES).astype(int)
    return logbook.strips(
      batch['image'][chosen, ..., :3],
      batch['mask'][chosen],
      probability[chosen],
    )
