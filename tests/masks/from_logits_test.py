"""Enlarged logits: nothing is shifted, boxes come back to their place."""

import chex
import numpy as np

from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap


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


class ThresholdsTest(chex.TestCase):
  def test_dice_of_every_threshold(self):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (20, 30), np.uint8)
    levels[:3] = 0
    levels[3:6] = 255
    actual = rng.uniform(size=(20, 30)) < levels / 300
    result = overlap.dice_by_level(levels, actual)
    for level in range(256):
      expected = overlap.mask_scores(levels >= level, actual)['dice']
      self.assertAlmostEqual(result[level], expected)

  def test_two_empty_masks_agree(self):
    levels = np.full((4, 4), 100, np.uint8)
    result = overlap.dice_by_level(levels, np.zeros((4, 4), bool))
    self.assertEqual(result[100], 0)
    self.assertEqual(result[101], 1)

  def test_best_is_in_the_middle_of_the_best(self):
    by_image = np.zeros((2, 256))
    by_image[:, 0] = 1  # all car: not a threshold
    by_image[0, 60:71] = 0.8
    by_image[1, 50:71] = 0.6
    threshold, dice = overlap.best_threshold(by_image)
    self.assertEqual(from_logits.level_of(threshold), 65)
    self.assertEqual(dice, 0.7)

  def test_level_of_a_threshold(self):
    # Level 144 is a logit of 1, level 64 one of -4.
    for threshold, level in (
      (0.5, 128), (0.7310586, 144), (0.01798621, 64), (1e-9, 1),
      (1 - 1e-9, 255),
    ):  # fmt: skip
      self.assertEqual(from_logits.level_of(threshold), level)
    for level in range(1, 256):
      threshold = from_logits.threshold_of(level)
      self.assertEqual(from_logits.level_of(threshold), level)

  def test_levels_are_steps_of_the_logit(self):
    logits = [-np.inf, np.nan, -9, -1e-3, 0, 1e-3, 0.06, 0.07, 1, 7.9, 9]
    levels = from_logits.quantize(np.array([logits], np.float32))
    self.assertEqual(levels.dtype, np.uint8)
    self.assertEqual(
      levels[0].tolist(), [0, 0, 0, 127, 128, 128, 128, 129, 144, 254, 255]
    )
    logits = np.random.default_rng(0).normal(0, 4, (50, 40)).astype(np.float32)
    levels = from_logits.quantize(logits)
    for level in (1, 60, 128, 131, 255):
      chex.assert_trees_all_equal(levels >= level, logits >= (level - 128) / 16)

  def test_shapes_that_opencv_could_take_for_scalars(self):
    for shape in ((4, 1), (1, 4), (1, 1), (3, 1)):
      levels = from_logits.quantize(np.full(shape, 1, np.float32))
      chex.assert_trees_all_equal(levels, np.full(shape, 144, np.uint8))

  def test_probabilities_of_levels(self):
    levels = np.array([[0, 64, 127, 128, 144, 255]], np.uint8)
    result = from_logits.probabilities(levels)
    self.assertEqual(result.dtype, np.uint8)
    # A level stands for its middle: half a step is 1 / 32.
    middles = (levels.astype(float) + 0.5 - 128) / 16
    expected = np.rint(255 / (1 + np.exp(-middles)))
    chex.assert_trees_all_equal(result.astype(float), expected)
    self.assertLess(result[0, 2], 127.5)
    self.assertGreater(result[0, 3], 127.5)
