"""Photos that are there twice, unchanged or nearly so."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

# Levels of 0..255, root mean square over the pixels of two thumbnails. Of the
# real cars in `train` no two photos are nearer than 11.5, and none is nearer to
# another's mirror image than 17.7; a photo encoded with quality 30 is 0.7 away,
# one of half the size 0.3, of a third 3.
NEAR = 4.0
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


def near(thumbnails: np.ndarray) -> Iterator[Near]:
  """Finds photos of which one is the other, re-encoded, resized or mirrored.

  Every photo is compared with every other. Other views of a car and other cars
  of the same view look alike as well, but not as much.

  Args:
    thumbnails: of the photos, uint8 [N, h, w].

  Yields:
    The pairs that are nearer to each other than `NEAR`.
  """
  pixels = thumbnails.astype(np.float32) - 128  # small numbers for the squares
  plain, turned = (x.reshape(len(x), -1) for x in (pixels, pixels[:, :, ::-1]))
  squares = np.square(plain).sum(1)
  limit = NEAR**2 * plain.shape[1]
  for start in range(0, len(plain), _BLOCK):
    rows = slice(start, start + _BLOCK)
    for mirrored, others in ((False, plain), (True, turned)):
      distances = squares[rows, None] + squares - 2 * plain[rows] @ others.T
      for row, second in np.argwhere(distances < limit):
        first = start + int(row)
        if first < second:
          square = max(float(distances[row, second]), 0.0)
          root = (square / plain.shape[1]) ** 0.5
          yield Near(first, int(second), root, mirrored)
