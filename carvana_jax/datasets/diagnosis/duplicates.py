"""Photos that are there twice, unchanged or nearly so."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

# Levels of 0..255, root mean square over the pixels of two thumbnails. Of the
# real cars in `train` no two photos are nearer than 11.5, and none is nearer to
# another's mirror image than 17.7; a photo encoded with quality 30 is 0.7 away,
# one of half the size 0.3, of a third 3.
NEAR = 4.0
THUMBNAIL = (24, 36)  # their height and width
# Small objects on one backdrop are all near to each other. So photos must also
# be this near, in colour, in relation to how far they are from the backdrop.
# Copies of the real cars are, a third of their size, 0.15 away, others 0.05. Of
# rendered objects on white or grey, 0.3% to 10% of the picture and put down
# within a few pixels of each other, no two of 25,000 pairs were as near; their
# copies were, down to 3% of the picture, and to 0.3% where they lay elsewhere.
_NEAR_OF_CONTRAST = 0.18
_EQUAL = 0.3  # levels, for photos that show nothing but the backdrop
# Photos from which the backdrop follows as their median; of fewer, each one's
# is its own most frequent colour.
_FEWEST, _MOST = 16, 256
_BLOCK = 512  # rows of the table of distances that are in memory at once


class Near(NamedTuple):
  """Two photos that look alike."""

  first: int  # position
  second: int  # a later one
  distance: float  # levels of 0..255
  mirrored: bool


def equal(digests: Sequence[Hashable | None]) -> Iterator[tuple[int, int]]:
  """Finds digests that are equal; None equals nothing.

  Yields:
    (first, later) positions.
  """
  first = {}
  for position, digest in enumerate(digests):
    if digest is not None and first.setdefault(digest, position) != position:
      yield first[digest], position


def near(thumbnails: np.ndarray, colours: np.ndarray) -> Iterator[Near]:
  """Finds photos of which one is the other, re-encoded, resized or mirrored.

  Every photo is compared with every other. Other views of a car and other cars
  of the same view look alike as well, but not as much.

  Args:
    thumbnails: of the photos, uint8 [N, h, w].
    colours: the same in colour, uint8 [N, h, w, 3].

  Yields:
    The pairs that are nearer to each other than `NEAR`, and much nearer than to
    the backdrop.
  """
  pixels = thumbnails.astype(np.float32) - 128  # small numbers for the squares
  plain, turned = (x.reshape(len(x), -1) for x in (pixels, pixels[:, :, ::-1]))
  squares = np.square(plain).sum(1)
  limit = NEAR**2 * plain.shape[1]
  limits = np.maximum(_NEAR_OF_CONTRAST * _contrasts(colours), _EQUAL)
  for start in range(0, len(plain), _BLOCK):
    rows = slice(start, start + _BLOCK)
    for mirrored, others in ((False, plain), (True, turned)):
      distances = squares[rows, None] + squares - 2 * plain[rows] @ others.T
      for row, second in np.argwhere(distances < limit).tolist():
        first = start + row
        if first < second:
          own, other = colours[first], colours[second]
          other = other[:, ::-1] if mirrored else other
          most = min(limits[first], limits[second])
          if _distance(own, other) >= most:
            continue
          square = max(float(distances[row, second]), 0.0)
          root = (square / plain.shape[1]) ** 0.5
          yield Near(first, second, root, mirrored)


def _contrasts(colours: np.ndarray) -> np.ndarray:
  """Returns how far photos are from their backdrop, in levels, [N]."""
  if len(colours) < _FEWEST:
    backdrops = np.median(colours, axis=(1, 2), keepdims=True)
  else:
    some = colours[:: -(-len(colours) // _MOST)]
    backdrops = np.broadcast_to(np.median(some, axis=0), colours.shape)
  pairs = zip(colours, backdrops, strict=True)
  return np.array([_distance(own, backdrop) for own, backdrop in pairs])


def _distance(pixels: np.ndarray, others: np.ndarray) -> float:
  """Returns the root mean square of differences."""
  difference = np.subtract(pixels, others, dtype=np.float32).ravel()
  return float((difference @ difference / difference.size) ** 0.5)
