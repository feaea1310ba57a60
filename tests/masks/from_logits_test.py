"""Enlarged logits: nothing is shifted, boxes come back to their place."""

import chex
import numpy as np

from carvana_jax.masks import from_logits


def interpolate(values, length):
  """One row enlarged, pixel by pixel; beyond the outer ones it is constant."""
  middles = np.arange(len(values)) + 0.5
  places = (np.arange(length) + 0.5) * len(values) / length
  return np.interp(places, middles, values)


class EnlargeTest(chex.TestCase):
  def test_is_bilinear(self):
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    rows = np.array([interpolate(row, 23) for row in logits])
    expected = np.array([interpolate(column, 12) for column in rows.T]).T
    result = from_logits.enlarge(logits, (12, 23))
    chex.assert_trees_all_close(result, expected.astype(np.float32), atol=1e-5)

  def test_a_border_between_two_pixels_stays(self):
    logits = np.where(np.arange(8) < 3, 1, -1) * np.ones((8, 1))
    result = from_logits.enlarge(logits.astype(np.float32), (80, 80))
    chex.assert_trees_all_equal(result[0] >= 0, np.arange(80) < 30)
    # Logits, not labels: near the border they lie between the two values.
    self.assertBetween(abs(result[40, 29]), 0.0, 0.5)

  def test_a_box_is_pasted_where_it_was_cut_out(self):
    logits = np.zeros((8, 8), np.float32) - 1
    logits[2:6] = 1  # a bar across the middle of the crop
    result = from_logits.enlarge(logits, (64, 100), np.array([20, 10, 60, 90]))
    expected = np.zeros((64, 100), bool)
    expected[30:50, 10:90] = True
    chex.assert_trees_all_equal(result >= 0, expected)
    self.assertTrue(np.isneginf(result[:20]).all())
    self.assertTrue(np.isneginf(result[:, 90:]).all())
    whole = from_logits.enlarge(logits, (64, 100), np.array([0, 0, 64, 100]))
    chex.assert_trees_all_equal(whole, from_logits.enlarge(logits, (64, 100)))

  def test_nothing_overshoots(self):
    # A doubtful column at the edge of what is surely background.
    logits = np.full((8, 8), -6, np.float32)
    logits[:, 0] = -0.2
    self.assertLess(from_logits.enlarge(logits, (80, 80)).max(), -0.19)

  def test_the_same_size_changes_nothing(self):
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    chex.assert_trees_all_equal(from_logits.enlarge(logits, (5, 7)), logits)
