"""Intervals of means over images that come in cars."""

from collections.abc import Sequence

import numpy as np

_DRAWS = 10_000
_ENDS = (0.025, 0.975)  # 95 % of the means are between these quantiles


def interval(
  values: Sequence[float], cars: Sequence[str]
) -> tuple[float, float]:
  """95 % percentile bootstrap interval of a mean (Efron & Tibshirani 1993).

  The views of a car are alike, so whole cars are drawn and not images: an
  interval over images would be far too narrow. Always the same draws, so the
  same values give the same interval.

  Args:
    values: of the images.
    cars: the car of each.

  Returns:
    Its ends; both are the mean where there is but one car.
  """
  _, car = np.unique(np.asarray(cars), return_inverse=True)
  sums = np.bincount(car, np.asarray(values, np.float64))
  counts = np.bincount(car)
  drawn = np.random.default_rng(0).integers(len(sums), size=(_DRAWS, len(sums)))
  means = sums[drawn].sum(1) / counts[drawn].sum(1)
  low, high = np.quantile(means, _ENDS)
  return float(low), float(high)
