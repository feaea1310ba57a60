"""Confidence intervals of means over images of which each car has several."""

from collections.abc import Sequence

import numpy as np

_DRAWS = 10_000
_ENDS = (0.025, 0.975)  # quantiles; 95 % of the means are between them


def interval(
  values: Sequence[float], cars: Sequence[str]
) -> tuple[float, float]:
  """Returns the 95 % bootstrap interval of a mean.

  It is the percentile interval of Efron & Tibshirani 1993 ("An Introduction to
  the Bootstrap"). The views of a car are alike, so whole cars are drawn rather
  than images: an interval over images would be far too narrow. The draws are
  always the same, so the same values give the same interval.

  Args:
    values: a value for each image.
    cars: the car that each image shows.

  Returns:
    The lower and the upper end; both are the mean if there is only one car.
  """
  _, car = np.unique(np.asarray(cars), return_inverse=True)
  sums = np.bincount(car, np.asarray(values, np.float64))
  counts = np.bincount(car)
  drawn = np.random.default_rng(0).integers(len(sums), size=(_DRAWS, len(sums)))
  means = sums[drawn].sum(1) / counts[drawn].sum(1)
  low, high = np.quantile(means, _ENDS)
  return float(low), float(high)
