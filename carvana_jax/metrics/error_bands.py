"""Wrong pixels by their distance from the true border, and what each costs.

A wrong pixel's distance is that of its centre to the centre of the nearest
pixel on the other side of the true mask's border, at full size: for missed car
the nearest background, for background taken for car the nearest car. So pixels
right at the border have the distance 1, and the bands count alike on both of
its sides.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from carvana_jax.metrics import border

# Upper ends of the bands in pixels, each included; beyond the last is one more.
ENDS = (2, 4, 8, 16, 32, 64)
# Up to the first, an error is a blurred border; beyond the second, it is a part
# of the car or of the studio. Both are among the ends.
NEAR, FAR = 4, 16


def by_distance(pair: border.MaskPair) -> list[list[float]]:
  """Counts the errors of one image.

  Args:
    pair: the image's masks, from `border.mask_pair`.

  Returns:
    A list for each band, from the border outwards: how many pixels of the car
    were missed, how many pixels of the background were added, and how much
    higher Dice would be if the band were right.
  """
  wrong = np.flatnonzero(pair.predicted ^ pair.actual)
  band = np.searchsorted(ENDS, pair.away.ravel()[wrong])
  added = pair.predicted.ravel()[wrong]
  counts = np.bincount(2 * band + added, minlength=2 * len(ENDS) + 2)
  overlap = np.count_nonzero(pair.predicted & pair.actual)
  missed, added = counts.reshape(-1, 2).T
  size = 2 * overlap + missed.sum() + added.sum()  # of both masks
  if not size:  # both are empty, so no pixel is wrong
    return [[0, 0, 0.0] for _ in missed]
  # Where the wrong band is all there is, both masks would be empty: Dice is 1.
  left = size + missed - added
  right = np.where(left == 0, 1, 2 * (overlap + missed) / np.maximum(left, 1))
  gain = right - 2 * overlap / size
  columns = missed.tolist(), added.tolist(), gain.tolist()
  return [list(band) for band in zip(*columns, strict=True)]


def table(images: Sequence[Sequence[Sequence[float]]]) -> list[dict[str, Any]]:
  """Sums up the errors of all images.

  Args:
    images: the errors of each image, from `by_distance`.

  Returns:
    The rows of errors.csv, one for each band from the border outwards. `over`
    and `up_to` are its distances in pixels, the last of which is ''; `missed`
    and `added` are the wrong pixels of all images; `share` is the band's share
    of all wrong pixels, 0..1; `dice_gain` is how much higher the mean Dice
    would be if the band were right in every image. As Dice is not a sum, the
    gains do not add up exactly to what it lacks.
  """
  missed, added, gain = np.moveaxis(np.array(images), -1, 0)  # [N, bands] each
  wrong = (missed + added).sum(0)
  return [
    {
      'over': over,
      'up_to': up_to,
      'missed': int(missed[:, band].sum()),
      'added': int(added[:, band].sum()),
      'share': float(wrong[band] / max(wrong.sum(), 1)),
      'dice_gain': float(gain[:, band].mean()),
    }
    for band, (over, up_to) in enumerate(
      zip((0, *ENDS), (*ENDS, ''), strict=True)
    )
  ]


def near_and_far(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
  """Returns the shares of the wrong pixels near the border and far from it.

  Args:
    rows: the rows of errors.csv, from `table`.

  Returns:
    `wrong_within_4` and `wrong_beyond_16`, 0..1.
  """
  near = [row['share'] for row in rows if row['over'] < NEAR]
  far = [row['share'] for row in rows if row['over'] >= FAR]
  return {f'wrong_within_{NEAR}': sum(near), f'wrong_beyond_{FAR}': sum(far)}


def count_far(errors: Sequence[Sequence[float]]) -> int:
  """Counts an image's wrong pixels that are far from the border.

  Args:
    errors: the errors of the image, from `by_distance`.

  Returns:
    How many of them are more than `FAR` pixels away.
  """
  beyond = errors[ENDS.index(FAR) + 1 :]
  return sum(missed + added for missed, added, _ in beyond)
