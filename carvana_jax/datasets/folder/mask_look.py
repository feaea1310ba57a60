"""Tells masks from photos by content, where names don't."""

import io
import itertools
from collections.abc import Sequence

import numpy as np

from carvana_jax.datasets import images
from carvana_jax.datasets.folder.listing import Picture
from carvana_jax.system.errors import UserError

_LOOKED_AT = 5  # of many files
_SIDE = 256  # pixels; of these a larger file is judged
_FEW = 16  # colours of label images
_STEP = 16  # of grey levels, which the noise of JPG does not leave
_TWO = 0.85  # share of pixels in the two commonest steps of a matte


def are_masks(pictures: Sequence[Picture]) -> bool | None:
  """Returns whether files look like masks; None where some do, some don't.

  Args:
    pictures: of which some, far apart, are decoded.
  """
  step = max(len(pictures) // _LOOKED_AT, 1)
  looks = [
    look
    for one in itertools.islice(pictures, 0, None, step)
    if (look := _looks_like_mask(one)) is not None
  ]
  if not looks or (any(looks) and not all(looks)):
    return None
  return all(looks)


def _looks_like_mask(one: Picture) -> bool | None:
  """Returns whether a file looks like a mask; None where it is damaged."""
  try:
    image = images.opened(io.BytesIO(one.file.read()))
    step = max(max(image.size) // _SIDE, 1)
    if image.mode in ('1', 'P', 'L', 'I;16', 'I', 'F'):
      pixels = np.asarray(image)[::step, ::step, None]
    elif image.has_transparency_data:
      opacity = image.convert('RGBA').getchannel('A')
      pixels = np.asarray(opacity)[::step, ::step, None]
      if pixels.min() == 255:  # as many programs save photos
        pixels = np.asarray(image.convert('RGB'))[::step, ::step]
    else:
      pixels = np.asarray(image.convert('RGB'))[::step, ::step]
  except (UserError, OSError, ValueError, SyntaxError):
    return None
  return _few_valued(pixels)


def _few_valued(pixels: np.ndarray) -> bool:
  """Returns whether pixels, [H, W, 1 or 3], are of few colours or two greys."""
  colours = np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)
  if len(colours) <= _FEW:
    return True
  spread = np.ptp(pixels.astype(np.int32), axis=2).max(initial=0)
  if spread > _STEP:
    return False
  steps = np.bincount(pixels[..., 0].astype(np.int64).ravel() // _STEP)
  return np.sort(steps)[-2:].sum() >= _TWO * steps.sum()
