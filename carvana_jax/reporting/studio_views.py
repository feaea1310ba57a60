"""What the views of an object show of the empty studio, drawn and in words."""

from collections.abc import Sequence

import numpy as np

from carvana_jax.datasets.empty_studio import EmptyStudio
from carvana_jax.masks import distance

STUDIO = 'empty studio'  # names its picture

_SQUARE = 16  # of the checkerboard, in pixels
_LIGHT, _DARK = 190, 150  # its greys
# Pixels of the photo on either side of the border; what is hard to cut out is
# there.
_BAND = 16
_NEEDS = (
  'For an empty studio the camera has to stand still, zoom and focus included, '
  'in the same light for all photos of an object, and it takes 8 views or '
  'more, spread over the turn.'
)


def pictures(studio: EmptyStudio) -> dict[str, np.ndarray]:
  """Draws the empty studio and how many views show it.

  Args:
    studio: see `empty_studio.find`.

  Returns:
    {label: uint8 [H, W, 3]}. The studio is a checkerboard where no view shows
    it.
  """
  shown = np.rint(255 * studio.count / len(studio.fits)).astype(np.uint8)
  return {
    STUDIO: on_checkerboard(studio.picture, studio.count > 0),
    'how many views show it: black none, white all': np.repeat(
      shown[..., None], 3, axis=-1
    ),
  }


def on_checkerboard(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
  """Puts a checkerboard where nothing is known.

  Args:
    pixels: uint8 [H, W, 3].
    known: bool [H, W].

  Returns:
    uint8 [H, W, 3].
  """
  rows, columns = np.indices(known.shape) // _SQUARE
  board = np.where((rows + columns) % 2, _LIGHT, _DARK).astype(np.uint8)
  return np.where(known[..., None], pixels, board[..., None])


def sentences(
  studio: EmptyStudio | None,
  photos: Sequence[np.ndarray],
  masks: Sequence[np.ndarray],
  numbers: Sequence[int],
  factor: float,
) -> list[str]:
  """Says how well the views of an object show the empty studio.

  Args:
    studio: found in these views.
    photos: uint8 [H, W, 3] each.
    masks: uint8 [H, W] each, 0..255.
    numbers: of the views.
    factor: how much smaller they are than the photos' files, 0..1.
  """
  if studio is None:
    views = ', '.join(map(str, numbers))
    return [
      f'There is no empty studio: of the views {views} no two show the same.',
      _NEEDS,
    ]
  odd = [
    str(x) for x, fits in zip(numbers, studio.fits, strict=True) if not fits
  ]
  known = np.mean(studio.count > 0)
  lines = [
    f'{len(numbers) - len(odd)} of {len(numbers)} views show the same empty '
    f'studio. It is known for {known:.1%} of the frame, and, from other views, '
    f'for {_known_at_border(studio, masks, factor):.1%} of what is within '
    f'{_BAND} pixels of the border. Where a view shows it, they differ by '
    f'{_levels(studio, photos):.1f} levels of 255 (median).'
  ]
  if odd:
    lines += [
      f'Another studio is shown by {"view" if len(odd) == 1 else "the views"} '
      f'{", ".join(odd)}: the camera has moved, or the light has changed. A '
      'second network works on such photos without the empty studio.',
      _NEEDS,
    ]
  return lines


def _known_at_border(studio, masks, factor):
  """Returns for which share of the bands other views show the studio, 0..1."""
  known = total = 0
  for view in np.flatnonzero(studio.fits):
    others = studio.count - ~studio.covered[view]
    is_band = np.abs(distance.signed(masks[view] > 127)) < _BAND * factor
    known += np.count_nonzero(is_band & (others > 0))
    total += np.count_nonzero(is_band)
  return known / max(total, 1)


def _levels(studio, photos):
  """Returns by how much views differ from the studio that they show."""
  differences = []
  for view in np.flatnonzero(studio.fits):
    shown = ~studio.covered[view] & (studio.count > 1)
    change = photos[view][shown].astype(np.int16) - studio.picture[shown]
    differences.append(np.abs(change).ravel())
  return float(np.median(np.concatenate(differences)))
