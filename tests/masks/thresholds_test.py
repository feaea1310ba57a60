"""All thresholds at once against one after the other."""

import chex
import numpy as np

from carvana_jax.masks import thresholds
from carvana_jax.metrics import overlap


class ThresholdsTest(chex.TestCase):
  def test_dice_of_every_threshold(self):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (20, 30), np.uint8)
    levels[:3] = 0
    levels[3:6] = 255
    actual = rng.uniform(size=(20, 30)) < levels / 300
    result = thresholds.dice(levels, actual)
    for level in range(256):
      expected = overlap.mask_scores(levels >= level, actual)['dice']
      self.assertAlmostEqual(result[level], expected)

  def test_two_empty_masks_agree(self):
    levels = np.full((4, 4), 100, np.uint8)
    result = thresholds.dice(levels, np.zeros((4, 4), bool))
    self.assertEqual(result[100], 0)
    self.assertEqual(result[101], 1)

  def test_best_is_in_the_middle_of_the_best(self):
    by_image = np.zeros((2, 256))
    by_image[:, 0] = 1  # all car: not a threshold
    by_image[0, 60:71] = 0.8
    by_image[1, 50:71] = 0.6
    threshold, dice = thresholds.best(by_image)
    self.assertEqual(thresholds.level_of(threshold), 65)
    self.assertEqual(dice, 0.7)

  def test_level_of_a_threshold(self):
    # Level 144 is a logit of 1, level 64 one of -4.
    for threshold, level in (
      (0.5, 128), (0.7310586, 144), (0.01798621, 64), (1e-9, 1),
      (1 - 1e-9, 255),
    ):  # fmt: skip
      self.assertEqual(thresholds.level_of(threshold), level)
    for level in range(1, 256):
      threshold = thresholds.threshold_of(level)
      self.assertEqual(thresholds.level_of(threshold), level)

  def test_levels_are_steps_of_the_logit(self):
    logits = [-np.inf, np.nan, -9, -1e-3, 0, 1e-3, 0.06, 0.07, 1, 7.9, 9]
    levels = thresholds.quantize(np.array([logits], np.float32))
    self.assertEqual(levels.dtype, np.uint8)
    self.assertEqual(
      levels[0].tolist(), [0, 0, 0, 127, 128, 128, 128, 129, 144, 254, 255]
    )
    logits = np.random.default_rng(0).normal(0, 4, (50, 40)).astype(np.float32)
    levels = thresholds.quantize(logits)
    for level in (1, 60, 128, 131, 255):
      chex.assert_trees_all_equal(levels >= level, logits >= (level - 128) / 16)

  def test_shapes_that_opencv_could_take_for_scalars(self):
    for shape in ((4, 1), (1, 4), (1, 1), (3, 1)):
      levels = thresholds.quantize(np.full(shape, 1, np.float32))
      chex.assert_trees_all_equal(levels, np.full(shape, 144, np.uint8))

  def test_probabilities_of_levels(self):
    levels = np.array([[0, 64, 127, 128, 144, 255]], np.uint8)
    result = thresholds.probabilities(levels)
    self.assertEqual(result.dtype, np.uint8)
    # A level stands for its middle: half a step is 1 / 32.
    middles = (levels.astype(float) + 0.5 - 128) / 16
    expected = np.rint(255 / (1 + np.exp(-middles)))
    chex.assert_trees_all_equal(result.astype(float), expected)
    self.assertLess(result[0, 2], 127.5)
    self.assertGreater(result[0, 3], 127.5)
