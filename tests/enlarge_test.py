"""Enlarged logits: nothing is shifted, boxes come back to their place."""

import chex
import numpy as np

from carvana_jax import enlarge


def cubic(away):
  """Keys' kernel with a = -0.75, at a distance in pixels."""
  away = abs(away)
  if away < 1:
    return 1.25 * away**3 - 2.25 * away**2 + 1
  if away < 2:
    return -0.75 * (away**3 - 5 * away**2 + 8 * away - 4)
  return 0.0


def interpolate(values, length):
  """One row enlarged, pixel by pixel; pixels beyond the edge repeat it."""
  result = []
  for place in range(length):
    centre = (place + 0.5) * len(values) / length - 0.5
    nearest = int(np.floor(centre))
    result.append(
      sum(
        cubic(centre - i) * values[min(max(i, 0), len(values) - 1)]
        for i in range(nearest - 1, nearest + 3)
      )
    )
  return result


class EnlargeTest(chex.TestCase):
  def test_is_cubic_convolution(self):
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    rows = np.array([interpolate(row, 23) for row in logits])
    expected = np.array([interpolate(column, 12) for column in rows.T]).T
    result = enlarge.enlarge(logits, (12, 23))
    chex.assert_trees_all_close(result, expected.astype(np.float32), atol=1e-5)

  def test_a_border_between_two_pixels_stays(self):
    logits = np.where(np.arange(8) < 3, 1, -1) * np.ones((8, 1))
    result = enlarge.enlarge(logits.astype(np.float32), (80, 80))
    chex.assert_trees_all_equal(result[0] >= 0, np.arange(80) < 30)
    # Logits, not labels: near the border they lie between the two values.
    self.assertBetween(abs(result[40, 29]), 0.0, 0.5)

  def test_a_box_is_pasted_where_it_was_cut_out(self):
    logits = np.zeros((8, 8), np.float32) - 1
    logits[2:6] = 1  # a bar across the middle of the crop
    result = enlarge.enlarge(logits, (64, 100), np.array([20, 10, 60, 90]))
    expected = np.zeros((64, 100), bool)
    expected[30:50, 10:90] = True
    chex.assert_trees_all_equal(result >= 0, expected)
    self.assertTrue(np.isneginf(result[:20]).all())
    self.assertTrue(np.isneginf(result[:, 90:]).all())
    whole = enlarge.enlarge(logits, (64, 100), np.array([0, 0, 64, 100]))
    chex.assert_trees_all_equal(whole, enlarge.enlarge(logits, (64, 100)))

  def test_the_same_size_changes_nothing(self):
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    chex.assert_trees_all_equal(enlarge.enlarge(logits, (5, 7)), logits)
