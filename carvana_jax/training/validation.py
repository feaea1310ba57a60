"""Scores and sample pictures at the network's size, for use while training."""

import collections
import math
from typing import Any

import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from carvana_jax.datasets.input_pipeline import RunData
from carvana_jax.metrics import overlap
from carvana_jax.parallel import devices, processes
from carvana_jax.training import sample_pictures, steps

# What the values of fields must be, see `check_config`.
RANGES = {
  'train.monitor': ('dice or loss', lambda x: x in ('dice', 'loss')),
  'train.picture_epochs': ('at least 0', lambda x: x >= 0),
}
# Photos that are pictured.
_SAMPLES = 4


class Validation:
  """Scores a network on a split, of which each process looks at its part."""

  def __init__(
    self,
    config: ConfigDict,
    model: nn.Module,
    data: RunData,
    split: str = 'validation',
  ):
    """Prepares to score, but reads nothing yet.

    Args:
      config: as in configs/default.py.
      model: the network of `config.model`.
      data: the run's data.
      split: of the data.
    """
    self._batches = lambda: data.once(split)
    self._files = lambda: data.first_files(split)
    self._threshold = config.eval.threshold
    self._score = devices.eval_step(steps.make_validation_step(model, config))
    self._predict = devices.eval_step(steps.make_probability_step(model))

  def scores(self, variables: Any) -> dict[str, float]:
    """Scores the whole split. All processes must call it together.

    Args:
      variables: of the network, replicated over the devices.

    Returns:
      Means over the split's images of loss, dice, iou and accuracy.
    """
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

  def pictures(self, variables: Any, title: str) -> np.ndarray:
    """Predicts a few photos, spread evenly over this process's first batch.

    Args:
      variables: of the network, replicated over the devices.
      title: what the predictions are of; Dice and name of each photo follow.

    Returns:
      uint8 [N, h, w, 3], one strip a photo, see `sample_pictures.strip`. Names
      are those of the first process's batch.
    """
    batch = next(iter(devices.to_devices(self._batches(), ahead=0)))
    probability = devices.to_host(self._predict(variables, batch))
    probability = np.nan_to_num(probability)  # of a network that went wrong
    batch = devices.to_host(batch)
    files = self._files()

    def strip(i):
      dice = overlap.mask_scores(
        probability[i] >= self._threshold, batch['mask'][i] > 127
      )['dice']
      return sample_pictures.strip(
        batch['image'][i, ..., :3],
        batch['mask'][i],
        np.round(probability[i] * 255).astype(np.uint8),
        f'{title}, Dice {dice:.5f}: {files[i]}',
      )

    last = int(batch['weight'].sum()) - 1
    return np.stack([*map(strip, np.linspace(0, last, _SAMPLES).astype(int))])


def score(scores: dict[str, float], config: ConfigDict) -> float:
  """Returns the number that makes a checkpoint the best, the highest.

  Args:
    scores: as returned by `Validation.scores`.
    config: as in configs/default.py; `train.monitor` names the score.

  Returns:
    The score, negative for a loss; -inf where it is not finite.
  """
  sign = -1 if config.train.monitor == 'loss' else 1
  monitored = sign * scores[config.train.monitor]
  return monitored if math.isfinite(monitored) else -math.inf
