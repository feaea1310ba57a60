"""Distances between borders, by hand and against SciPy."""

import math

import chex
import numpy as np
from absl.testing import parameterized
from scipy import ndimage

from carvana_jax.metrics import border


def square(top, left, size, shape=(40, 60)):
  mask = np.zeros(shape, bool)
  mask[top : top + size, left : left + size] = True
  return mask


def scores(predicted, actual):
  return border.scores(border.mask_pair(predicted, actual))


def reference(predicted, actual):
  """The same from SciPy's distances and set operations on coordinates."""
  inner = lambda mask: mask & ~ndimage.binary_erosion(mask, border_value=1)
  to = lambda pixels: ndimage.distance_transform_edt(~pixels)
  borders = inner(predicted), inner(actual)
  ways = to(borders[1])[borders[0]], to(borders[0])[borders[1]]
  found = {
    'hausdorff_95': max(np.percentile(way, 95) for way in ways),
    'surface_distance': np.concatenate(ways).mean(),
  }
  away = np.where(actual, to(~actual), to(actual))
  for width in (2, 4, 8):
    p, a = predicted[away <= width], actual[away <= width]
    found[f'dice_band_{width}'] = 2 * (p & a).sum() / (p.sum() + a.sum())
  return found


class BorderTest(chex.TestCase):
  def test_by_hand(self):
    parse = lambda *rows: np.array([[c == '#' for c in row] for row in rows])
    mask = parse('......', '.####.', '.####.', '.####.', '.####.')
    # The picture's edge is no border of the car.
    expected = parse('......', '.####.', '.#..#.', '.#..#.', '.#..#.')
    chex.assert_trees_all_equal(border.border_pixels(mask), expected)

  @parameterized.parameters(False, True)
  def test_none_where_all_or_nothing_is_car(self, value):
    self.assertFalse(border.border_pixels(np.full((3, 4), value)).any())


class ScoresTest(chex.TestCase):
  def test_equal_masks(self):
    mask = square(10, 12, 15)
    self.assertEqual(
      scores(mask, mask),
      {
        'dice_band_2': 1.0,
        'dice_band_4': 1.0,
        'dice_band_8': 1.0,
        'hausdorff_95': 0.0,
        'surface_distance': 0.0,
      },
    )

  def test_shifted_square_by_hand(self):
    result = scores(square(10, 13, 10), square(10, 10, 10))
    # The far sides of the squares are 3 pixels apart: 10 of 36 border pixels.
    self.assertEqual(result['hausdorff_95'], 3.0)
    # The band of 2 pixels: 64 pixels of the actual square, of which the other
    # lacks the columns 10 and 11 and four pixels of 12; it has 20 on the right.
    self.assertAlmostEqual(result['dice_band_2'], 2 * 40 / (64 + 40 + 20))

  def test_grown_square(self):
    result = scores(square(8, 8, 14), square(10, 10, 10))
    # Two pixels away on all sides, but from the corners 2 * sqrt(2).
    self.assertAlmostEqual(result['hausdorff_95'], 2 * math.sqrt(2), 5)
    self.assertBetween(result['surface_distance'], 2, 2.2)

  @parameterized.parameters(*range(8))
  def test_agrees_with_scipy(self, seed):
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=(2, 60, 90)), (0, 6, 6))
    predicted, actual = blobs > 0.02
    chex.assert_trees_all_close(
      scores(predicted, actual),
      reference(predicted, actual),
      rtol=1e-5,
    )

  def test_empty_masks(self):
    empty, mask = np.zeros((30, 40), bool), square(5, 5, 8, (30, 40))
    both = scores(empty, empty)
    self.assertEqual(both['hausdorff_95'], 0)
    self.assertEqual(both['surface_distance'], 0)
    self.assertEqual(both['dice_band_2'], 1)
    for masks in ((empty, mask), (mask, empty)):
      result = scores(*masks)
      self.assertEqual(result['hausdorff_95'], 50)
      self.assertEqual(result['surface_distance'], 50)
    self.assertEqual(scores(empty, mask)['dice_band_4'], 0)
    # Without an actual border there is no band.
    self.assertEqual(scores(mask, empty)['dice_band_4'], 1)

  def test_full_masks_have_no_border(self):
    full = np.ones((10, 12), bool)
    result = scores(full, full)
    self.assertEqual(result['hausdorff_95'], 0)
    self.assertEqual(result['dice_band_8'], 1)
