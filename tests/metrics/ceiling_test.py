"""Resolution ceilings by hand."""

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.metrics import ceiling


class CeilingTest(chex.TestCase):
  @parameterized.parameters((0, 0), (5, 0), (3, 2))
  def test_half_a_pixel_is_kept_by_soft_masks_only(self, top, left):
    # Three columns of car, of which a pixel of the network holds two.
    true = np.zeros((8 + 2 * top, 8 + 2 * left), bool)
    true[top : top + 8, left : left + 3] = True
    box = np.array([top, left, top + 8, left + 8])
    result = ceiling.dice(true, (4, 4), box)
    self.assertEqual(result['ceiling_soft'], 1)
    # 8 x 4 pixels for 8 x 3.
    self.assertAlmostEqual(result['ceiling_hard'], 2 * 24 / (24 + 32))

  def test_what_is_outside_the_box_is_lost(self):
    true = np.ones((8, 8), bool)
    result = ceiling.dice(true, (4, 4), np.array([0, 0, 8, 4]))
    for value in result.values():
      self.assertAlmostEqual(value, 2 * 32 / (32 + 64))
