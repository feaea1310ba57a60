"""Colours of feature maps by hand."""

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.reporting import feature_colours


class ColoursTest(chex.TestCase):
  def test_grey(self):
    found = feature_colours.grey(np.array([[-1.0, 0.0, 0.2], [0.5, 1.0, 7.0]]))
    expected = np.array([[0, 0, 51], [128, 255, 255]], np.uint8)
    chex.assert_trees_all_equal(found, np.stack([expected] * 3, -1))

  def test_signed(self):
    found = feature_colours.signed_channel(
      np.array([[-3.0, -1.0], [0.0, 1.0]])
    ).astype(int)
    self.assertEqual(found[0, 0].max(), 0)  # the least is black
    self.assertGreater(found[0, 1, 2], found[0, 1, 0])  # below zero is blue
    chex.assert_trees_all_close(found[0, 1, 2], 128, atol=1)  # half way up
    self.assertLess(found[1, 0, 2], found[1, 0, 0])
    self.assertEqual(found[1, 1].max(), 255)

  def test_a_channel_of_one_value(self):
    found = feature_colours.signed_channel(np.full((2, 3), -0.5, np.float32))
    self.assertEqual(found.min(), found[0, 0].min())
    self.assertEqual(found.max(), 255)

  def test_principal_components_are_red_green_and_blue(self):
    y, x = np.mgrid[:40, :60]
    red, green, blue = x // 30, y // 20, (x + y) % 2
    parts = 9.0 * red, 5.0 * green, 1.0 * blue, 0 * x
    found = feature_colours.principal_components(np.stack(parts, -1))
    expected = 255 * np.stack([red, green, blue], -1).astype(np.uint8)
    chex.assert_trees_all_equal(found, expected)
    # Whichever way the channels were turned.
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    turned = feature_colours.principal_components(
      np.stack(parts, -1) @ turn
    ).astype(int)
    for i in range(3):
      found = np.abs(turned[..., i] - turned[0, 0, i]).astype(np.uint8)
      chex.assert_trees_all_equal(found, expected[..., i])

  @parameterized.parameters(1, 2)
  def test_principal_component_of_few_channels_is_grey(self, count):
    ramp = np.linspace(-1, 1, 100).reshape(10, 10, 1)
    found = feature_colours.principal_components(ramp * np.ones(count)).astype(
      int
    )
    chex.assert_trees_all_equal(found[..., 0], found[..., 2])
    self.assertTrue((np.diff(found[..., 0].ravel()) >= 0).all())
    self.assertEqual((found.min(), found.max()), (0, 255))

  def test_nothing_to_see(self):
    found = feature_colours.principal_components(
      np.zeros((4, 5, 8), np.float32)
    )
    self.assertEqual(found.shape, (4, 5, 3))
