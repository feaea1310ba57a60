"""Where the tiles lie that a second network looks at.

It is asked where the first network is in doubt, that is, where that one gives
car a probability of 5 % to 95 %.
"""

import numpy as np

_DOUBT = 13, 242  # the levels of 5 % and 95 % in 0..255


def doubtful(probability: np.ndarray) -> np.ndarray:
  """Returns where a network is in doubt, bool [H, W].

  Args:
    probability: uint8 [H, W], 0..255.
  """
  least, most = _DOUBT
  return (probability >= least) & (probability <= most)


def margin(tile: tuple[int, int]) -> tuple[int, int]:
  """Returns the height and width of a tile's margin at each of its sides.

  The margin only shows the surroundings of the rest.

  Args:
    tile: (h, w).
  """
  return tile[0] // 8, tile[1] // 8


def fits(size: tuple[int, int], tile: tuple[int, int]) -> bool:
  """Returns whether a photo (H, W) is at least as large as a tile (h, w)."""
  return size[0] >= tile[0] and size[1] >= tile[1]


def random_places(
  probability: np.ndarray,
  tile: tuple[int, int],
  count: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """Chooses tiles to learn from, each with a doubtful pixel in its inner half.

  Args:
    probability: uint8 [H, W], 0..255.
    tile: (h, w), no larger than the photo.
    count: how many tiles to choose; they may overlap.
    rng: the source of random numbers.

  Returns:
    int64 [count, 2], tops and lefts, which lie anywhere if nothing is in doubt.
  """
  pixels = np.argwhere(doubtful(probability))
  if not len(pixels):
    pixels = np.argwhere(np.ones_like(probability))
  height, width = tile
  chosen = pixels[rng.integers(len(pixels), size=count)]
  inside = rng.integers(
    (height // 4, width // 4),
    (height - height // 4, width - width // 4),
    (count, 2),
  )
  most = np.subtract(probability.shape, tile)
  return np.clip(chosen - inside, 0, most)


def places_along_border(
  probability: np.ndarray, tile: tuple[int, int]
) -> np.ndarray:
  """Finds tiles whose inner parts cover every doubtful pixel once.

  The photo is divided into cells, the tiles without their margins. Each cell
  with a doubtful pixel gets the tile around it, moved inwards at the photo's
  edges.

  Args:
    probability: uint8 [H, W], 0..255.
    tile: (h, w), no larger than the photo.

  Returns:
    int64 [N, 2, 2]: of every cell its top and left, and those of its tile.
  """
  doubt = doubtful(probability)
  around = np.array(margin(tile))
  step = tile - 2 * around
  cells = [
    (top, left)
    for top in range(0, doubt.shape[0], step[0])
    for left in range(0, doubt.shape[1], step[1])
    if doubt[top : top + step[0], left : left + step[1]].any()
  ]
  cells = np.array(cells, np.int64).reshape(-1, 2)
  tiles = np.clip(cells - around, 0, np.subtract(doubt.shape, tile))
  return np.stack([cells, tiles], axis=1)
