"""Measures of an object, by hand."""

import numpy as np
from absl.testing import absltest

from carvana_jax.masks import measures


class MeasuresTest(absltest.TestCase):
  def test_by_hand(self):
    # Of 4x8 pixels the two in rows 0 and 1 of column 6; the lower one is object
    # by a third, 85 of 255.
    mask = np.zeros((4, 8), np.uint8)
    mask[:2, 6] = 255, 85
    photo = np.zeros((4, 8, 3), np.uint8)
    photo[0, 6], photo[1, 6] = (100, 0, 40), (20, 40, 0)
    found = measures.measure(photo, mask)
    self.assertAlmostEqual(found.share, (1 + 1 / 3) / 32)
    self.assertAlmostEqual(found.across, 6.5 / 8)
    # Three quarters of it in the middle of row 0, one of row 1.
    self.assertAlmostEqual(found.down, (3 * 0.5 + 1.5) / 4 / 4)
    self.assertEqual((found.height, found.width), (1 / 4, 1 / 8))
    np.testing.assert_allclose(found.colour, (80, 10, 30))

  def test_box(self):
    mask = np.zeros((10, 20), np.uint8)
    mask[2, 5] = mask[8, 14] = 128
    found = measures.measure(np.zeros((10, 20, 3), np.uint8), mask)
    self.assertEqual((found.height, found.width), (7 / 10, 10 / 20))

  def test_no_object(self):
    empty = np.zeros((2, 2), np.uint8)
    found = measures.measure(np.zeros((2, 2, 3), np.uint8), empty)
    self.assertEqual(found.share, 0)
    self.assertTrue(np.isnan([found.down, found.width, *found.colour]).all())


if __name__ == '__main__':
  absltest.main()
