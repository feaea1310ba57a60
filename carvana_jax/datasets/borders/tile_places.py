"""Where the tiles lie that a second network looks at.

It is asked where the first one is in doubt: not where that gives car less than
5 % or more than 95 %.
"""

import numpy as np

_DOUBT = 13, 242  # the levels of 5 % and 95 % in 0..255


def doubtful(probability: np.ndarray) -> np.ndarray:
  """Probabilities uint8 [H, W], 0..255 -> bool [H, W]."""
  least, most = _DOUBT
  return (probability >= least) & (probability <= most)


def margin(tile: tuple[int, int]) -> tuple[int, int]:
  """What of a tile (h, w) at each side only shows what is around the rest."""
  return tile[0] // 8, tile[1] // 8


def fits(size: tuple[int, int], tile: tuple[int, int]) -> bool:
  """Whether a photo (H, W) is as large as a tile (h, w) at least."""
  return size[0] >= tile[0] and size[1] >= tile[1]


def random_places(
  probability: np.ndarray,
  tile: tuple[int, int],
  count: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """Tiles to learn from, with a doubtful pixel in their inner half.

  Args:
    probability: uint8 [H, W], 0..255.
    tile: (h, w), not larger.
    count: how many; they may overlap.
    rng: whose numbers choose.

  Returns:
    int64 [count, 2], tops and lefts; anywhere if nothing is in doubt.
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
  """Tiles whose inner parts cover all doubtful pixels, none twice.

  The photo is divided into cells, the tiles without their margins. Each cell
  with a doubtful pixel gets the tile around it, moved inwards at the photo's
  edges.

  Args:
    probability: uint8 [H, W], 0..255.
    tile: (h, w), not larger.

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
