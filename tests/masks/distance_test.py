"""Distances by hand and against SciPy."""

import chex
import cv2
import numpy as np
from scipy import ndimage

from carvana_jax.masks import distance


class DistanceTest(chex.TestCase):
  def test_exact_to_the_last_bit_wherever_the_pixels_lie(self):
    rng = np.random.default_rng(0)
    pixels = rng.random((50, 77)) < 0.01
    expected = ndimage.distance_transform_edt(~pixels).astype(np.float32)
    memory = np.empty(pixels.size + 64, bool)
    for start in range(64):
      moved = memory[start : start + pixels.size].reshape(pixels.shape)
      moved[:] = pixels
      chex.assert_trees_all_equal(distance.exact(moved), expected)

  def test_the_setting_of_opencv_is_left_alone(self):
    before = cv2.ipp.useIPP()
    distance.exact(np.ones((3, 4), bool))
    self.assertEqual(cv2.ipp.useIPP(), before)

  def test_signed_is_one_half_beside_the_border(self):
    mask = np.zeros((3, 6), bool)
    mask[:, 3:] = True
    expected = np.tile([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], (3, 1))
    chex.assert_trees_all_close(distance.signed(mask), expected, rtol=0.02)

  def test_a_row_of_the_floor_is_two_columns(self):
    pixels = np.zeros((5, 5), bool)
    pixels[2, 2] = True
    found = distance.on_floor(pixels)
    chex.assert_trees_all_close(found[2], np.array([2, 1, 0, 1, 2.0]), rtol=0.1)
    # From the upper half of a row.
    chex.assert_trees_all_close(
      found[:, 2], np.array([4, 2, 0, 1, 3.0]), rtol=0.1
    )

  def test_very_large_where_there_is_nothing_to_measure_to(self):
    nothing = np.zeros((4, 4), bool)
    for found in (distance.exact(nothing), distance.on_floor(nothing)):
      self.assertGreater(found.min(), 1000)
