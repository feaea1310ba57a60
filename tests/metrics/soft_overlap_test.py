"""Soft scores against values computed by hand."""

import chex
import numpy as np

from carvana_jax.metrics import soft_overlap

# Three images of two pixels: targets and probabilities.
TARGET = np.float32([[[1, 0.5]], [[0, 0]], [[1, 1]]])
PROBABILITY = np.float32([[[0.5, 0.5]], [[0, 0.25]], [[1, 0.75]]])


class SoftOverlapTest(chex.TestCase):
  def scores(self, images, batch_size):
    sums = soft_overlap.sums(PROBABILITY[images], TARGET[images])
    return soft_overlap.scores(*map(np.asarray, sums), batch_size)

  def test_sums_by_hand(self):
    overlap, size = soft_overlap.sums(PROBABILITY, TARGET)
    np.testing.assert_array_equal(overlap, [0.75, 0, 1.75])
    np.testing.assert_array_equal(size, [2.5, 0.25, 3.75])

  def test_over_all_images_at_once(self):
    found = self.scores([0, 1, 2], 2)
    self.assertAlmostEqual(found['soft_dice_set'], (5 + 1) / (6.5 + 1))
    self.assertAlmostEqual(found['soft_iou_set'], (2.5 + 1) / (4 + 1))

  def test_a_smaller_last_batch_counts_as_much_as_the_others(self):
    found = self.scores([0, 1, 2], 2)
    dice = ((1.5 + 1) / (2.75 + 1) + (3.5 + 1) / (3.75 + 1)) / 2
    iou = ((0.75 + 1) / (2 + 1) + (1.75 + 1) / (2 + 1)) / 2
    self.assertAlmostEqual(found['soft_dice_batches'], dice)
    self.assertAlmostEqual(found['soft_iou_batches'], iou)

  def test_a_single_batch_is_all_images(self):
    for batch_size in (3, 16):
      found = self.scores([0, 1, 2], batch_size)
      self.assertEqual(found['soft_dice_batches'], found['soft_dice_set'])
      self.assertEqual(found['soft_iou_batches'], found['soft_iou_set'])

  def test_an_empty_target_by_hand(self):
    found = self.scores([1], 1)
    self.assertAlmostEqual(found['soft_dice_set'], 1 / 1.25)
    self.assertAlmostEqual(found['soft_iou_set'], 1 / 1.25)
