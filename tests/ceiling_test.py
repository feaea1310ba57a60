"""Resolution ceilings by hand, and the same enlarging as on the device."""

import chex
import jax
import numpy as np
from absl.testing import parameterized

from carvana_jax import ceiling, steps


class CeilingTest(chex.TestCase):
  @parameterized.parameters(0, 5)
  def test_half_a_pixel_is_kept_by_soft_masks_only(self, offset):
    # Three columns of car, of which a pixel of the network holds two.
    true = np.zeros((8 + 2 * offset, 8 + offset), bool)
    true[offset : offset + 8, :3] = True
    box = np.array([offset, 0, offset + 8, 8]) if offset else None
    result = ceiling.dice(true, (4, 4), box)
    self.assertEqual(result['ceiling_soft'], 1)
    # 8 x 4 pixels for 8 x 3.
    self.assertAlmostEqual(result['ceiling_hard'], 2 * 24 / (24 + 32))

  def test_what_is_outside_the_box_is_lost(self):
    true = np.ones((8, 8), bool)
    result = ceiling.dice(true, (4, 4), np.array([0, 0, 8, 4]))
    for value in result.values():
      self.assertAlmostEqual(value, 2 * 32 / (32 + 64))

  @parameterized.parameters(((5, 7), (40, 63)), ((8, 8), (11, 30)))
  def test_enlarges_as_logits_are(self, small, large):
    values = np.random.default_rng(0).integers(0, 256, small, np.uint8)
    result = ceiling._enlarge_soft(values, *large)
    logits = values[None].astype(np.float32) - 127.5
    expected = jax.jit(steps.enlarge, static_argnums=1)(logits, large)[0]
    unclear = np.abs(expected) < 1e-3
    chex.assert_trees_all_equal(result | unclear, (expected >= 0) | unclear)
    self.assertLess(unclear.mean(), 0.01)
