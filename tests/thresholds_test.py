"""All thresholds at once against one after the other."""

import chex
import numpy as np

from carvana_jax import metrics, thresholds


class ThresholdsTest(chex.TestCase):
  def test_dice_of_every_threshold(self):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (20, 30), np.uint8)
    levels[:3] = 0
    levels[3:6] = 255
    actual = rng.uniform(size=(20, 30)) < levels / 300
    result = thresholds.dice(levels, actual)
    for level in range(256):
      expected = metrics.mask_scores(levels >= level, actual)['dice']
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
    self.assertEqual(thresholds.best(by_image), (65 / 256, 0.7))

  def test_level_of_a_threshold(self):
    for threshold, level in ((0.5, 128), (0.001, 1), (0.999, 255), (0.25, 64)):
      self.assertEqual(thresholds.level_of(threshold), level)
