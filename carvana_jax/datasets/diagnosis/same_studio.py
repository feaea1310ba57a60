"""Views that don't show the studio that other views of their object show.

Camera and light stand still while an object is turned. A photo from another
place, or in another light, is as good to train on, but can't be compared with
the empty studio of the others, see `empty_studio`.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from carvana_jax.datasets import empty_studio
from carvana_jax.datasets.diagnosis import mask_fit

_SIDE = 240  # pixels of the longer side at which views are compared
# So small, views agree better than at full size. Of 7 cars of `train` all 112
# views have 0.9995 or more. One photo of each, moved by 2 pixels of 1918, has
# 0.996 or more, so is not noticed; by 4 sideways 0.987 or less, down 0.989 to
# 0.996, so half are; by 8 0.964 or less either way, by 16 0.78. With 480 pixels
# and 0.9 none moved down by 4 would be. Lit by a twentieth more, levels differ
# by 8 to 11, of which `empty_studio` allows 8; by a tenth by 12 or more.
_SLOPES_AGREE = 0.99


def small(light: np.ndarray, cover: np.ndarray) -> np.ndarray:
  """Keeps what is compared with other views.

  Args:
    light: a photo's luminance, uint8 [H, W].
    cover: its mask, uint8 [h, w], 0..255.

  Returns:
    The luminance, uint8 [h, w], at most 240 pixels; 0 where the object is, and
    nowhere else.
  """
  light = np.maximum(mask_fit.reduced(light, _SIDE), 1)
  size = light.shape[::-1]
  light[cv2.resize(cover, size, interpolation=cv2.INTER_NEAREST) > 0] = 0
  return light


class Odd(NamedTuple):
  """A view that doesn't show the studio of most others of its object."""

  position: int
  agreeing: int  # views that show the same studio
  of: int  # views of the object, of one size


def odd(
  views: Sequence[np.ndarray], objects: Sequence[str]
) -> tuple[list[Odd], int]:
  """Finds views that don't show the studio of most others of their object.

  Args:
    views: of all objects, as `small` keeps them.
    objects: the id of each one's object.

  Returns:
    These views; and how many were compared. Those of objects of which no more
    than half of the views agree are not: nobody meant to keep the camera still.
  """
  groups = collections.defaultdict(list)
  for position, (view, name) in enumerate(zip(views, objects, strict=True)):
    groups[name, view.shape].append(position)
  found, compared = [], 0
  for positions in groups.values():
    fits = _fits([views[x] for x in positions])
    if 2 * sum(fits) > len(fits):
      compared += len(fits)
      found += [
        Odd(position, sum(fits), len(fits))
        for position, fit in zip(positions, fits, strict=True)
        if not fit
      ]
  return found, compared


def _fits(views):
  """Returns which views of an object show the same studio."""
  studio = empty_studio.find(
    [x[..., None] for x in views],
    [np.uint8(255) * (x == 0) for x in views],
    _SLOPES_AGREE,
  )
  return studio.fits.tolist() if studio else [False] * len(views)
