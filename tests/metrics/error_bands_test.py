"""Wrong pixels by distance, by hand and against SciPy."""

import itertools
import math

import chex
import numpy as np
from absl.testing import parameterized
from scipy import ndimage

from carvana_jax.metrics import border, error_bands


def errors(predicted, actual):
  return error_bands.by_distance(border.mask_pair(predicted, actual))


def dice(predicted, actual):
  return 2 * (predicted & actual).sum() / (predicted.sum() + actual.sum())


def reference(predicted, actual):
  """The same from SciPy's distances and masks with a band made right."""
  to = lambda pixels: ndimage.distance_transform_edt(~pixels)
  away = np.where(actual, to(~actual), to(actual))
  found = []
  for over, up_to in itertools.pairwise((0, 2, 4, 8, 16, 32, 64, math.inf)):
    band = (away > over) & (away <= up_to)
    right = np.where(band, actual, predicted)
    found.append(
      [
        (band & actual & ~predicted).sum(),
        (band & predicted & ~actual).sum(),
        dice(right, actual) - dice(predicted, actual),
      ]
    )
  return found


class OfTest(chex.TestCase):
  def test_a_missed_and_an_added_stripe_by_hand(self):
    actual = np.zeros((20, 200), bool)
    actual[:, :100] = True
    predicted = actual.copy()
    predicted[:, 97:100] = False  # the distances 1, 2 and 3
    predicted[:, 116:118] = True  # 17 and 18
    counts = [band[:2] for band in errors(predicted, actual)]
    self.assertEqual(
      counts, [[40, 0], [20, 0], [0, 0], [0, 0], [0, 40], [0, 0], [0, 0]]
    )
    gains = [band[2] for band in errors(predicted, actual)]
    now = 2 * 1940 / (1980 + 2000)
    np.testing.assert_allclose(gains[0], 2 * 1980 / (2020 + 2000) - now)
    np.testing.assert_allclose(gains[4], 2 * 1940 / (1940 + 2000) - now)
    self.assertEqual([gains[band] for band in (2, 3, 5, 6)], [0, 0, 0, 0])

  def test_a_band_holds_its_upper_end(self):
    actual = np.zeros((1, 300), bool)
    actual[:, 0] = True  # so column k has the distance k
    for distance, band in ((1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (8, 2),
                           (16, 3), (17, 4), (64, 5), (65, 6)):  # fmt: skip
      predicted = actual.copy()
      predicted[0, distance] = True
      added = [one[1] for one in errors(predicted, actual)]
      self.assertEqual(added, [int(index == band) for index in range(7)])

  @parameterized.parameters(*range(6))
  def test_agrees_with_scipy(self, seed):
    rng = np.random.default_rng(seed)
    smooth = (0, 25, 25) if seed % 2 else (0, 6, 6)
    blobs = ndimage.gaussian_filter(rng.normal(size=(2, 150, 260)), smooth)
    predicted, actual = blobs > np.quantile(blobs, 0.6)
    # Large blobs are wrong far from the border, too.
    self.assertGreater(sum(map(sum, errors(predicted, actual)[3:])), 0)
    chex.assert_trees_all_close(
      np.array(errors(predicted, actual)),
      np.array(reference(predicted, actual)),
      rtol=1e-9,
      atol=1e-12,
    )

  def test_the_cropped_part_changes_nothing(self):
    """A car in a corner of the picture, a prediction in another."""
    actual, predicted = np.zeros((2, 120, 160), bool)
    actual[:30, :50] = True
    predicted[90:, 110:] = True
    chex.assert_trees_all_close(
      np.array(errors(predicted, actual)),
      np.array(reference(predicted, actual)),
      atol=1e-12,
    )

  def test_without_border_all_is_beyond_the_last_band(self):
    empty, mask = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    mask[5:10, 5:10] = True
    self.assertEqual(errors(mask, empty), [[0, 0, 0]] * 6 + [[0, 25, 1]])
    full = np.ones((30, 40), bool)
    self.assertEqual(errors(empty, full), [[0, 0, 0]] * 6 + [[1200, 0, 1]])

  def test_empty_masks_have_no_errors(self):
    empty = np.zeros((30, 40), bool)
    self.assertEqual(errors(empty, empty), [[0, 0, 0]] * 7)


class TableTest(chex.TestCase):
  IMAGES = (
    [[10, 2, 0.1], [0, 0, 0.0], [3, 1, 0.02], *[[0, 0, 0.0]] * 3, [0, 4, 0.3]],
    [[0, 8, 0.3], [0, 0, 0.0], [0, 0, 0.0], *[[0, 0, 0.0]] * 3, [12, 0, 0.1]],
  )

  def test_sums_shares_and_mean_gains(self):
    rows = error_bands.table(self.IMAGES)
    self.assertEqual([row['over'] for row in rows], [0, 2, 4, 8, 16, 32, 64])
    self.assertEqual([row['up_to'] for row in rows],
                     [2, 4, 8, 16, 32, 64, ''])  # fmt: skip
    self.assertEqual([row['missed'] for row in rows], [10, 0, 3, 0, 0, 0, 12])
    self.assertEqual([row['added'] for row in rows], [10, 0, 1, 0, 0, 0, 4])
    np.testing.assert_allclose(
      [row['share'] for row in rows], [0.5, 0, 0.1, 0, 0, 0, 0.4]
    )
    np.testing.assert_allclose(
      [row['dice_gain'] for row in rows], [0.2, 0, 0.01, 0, 0, 0, 0.2]
    )

  def test_near_and_far(self):
    found = error_bands.near_and_far(error_bands.table(self.IMAGES))
    self.assertAlmostEqual(found['wrong_within_4'], 0.5)
    self.assertAlmostEqual(found['wrong_beyond_16'], 0.4)
    self.assertEqual(list(map(error_bands.count_far, self.IMAGES)), [4, 12])

  def test_nothing_wrong(self):
    rows = error_bands.table([[[0, 0, 0.0]] * 7] * 2)
    self.assertEqual({row['share'] for row in rows}, {0})
