"""The doubt in masks, counted by hand."""

import chex
import numpy as np

from carvana_jax.masks import doubt


def levels_of(**parts):
  """100x200 pixels of level 10; parts are (rows, columns, level)."""
  levels = np.full((100, 200), 10, np.uint8)
  for rows, columns, level in parts.values():
    levels[slice(*rows), slice(*columns)] = level
  return levels


def doubt_of(levels, threshold=0.5):
  mask = levels >= round(128 + 16 * np.log(threshold / (1 - threshold)))
  return doubt.of(levels, mask, threshold)


class DoubtTest(chex.TestCase):
  def test_margin(self):
    sure = levels_of(a=((10, 30), (20, 60), 200))
    self.assertEqual(doubt_of(sure), (0, 0, 800 / 20000))
    # 400 pixels beside it are mask at the generous threshold only.
    vague = levels_of(a=((10, 30), (20, 60), 200), b=((30, 40), (20, 60), 100))
    self.assertEqual(doubt_of(vague), (400 / 2000, 0, 800 / 20000))
    # The limits: 128 + 32 is strict, 128 - 32 generous.
    for level, margin in ((96, 1 / 3), (95, 0), (160, 0), (159, 1 / 3)):
      levels = levels_of(
        a=((0, 10), (0, 40), 255), b=((10, 20), (0, 40), level)
      )
      self.assertAlmostEqual(doubt_of(levels).margin, margin, places=5)

  def test_margin_is_about_the_threshold(self):
    levels = levels_of(a=((0, 10), (0, 40), 255), b=((10, 20), (0, 40), 190))
    self.assertEqual(doubt_of(levels).margin, 0)
    high = 1 / (1 + np.exp(-2.5))  # level 168, so 136 to 200
    self.assertAlmostEqual(doubt_of(levels, high).margin, 1 / 3, places=5)
    for extreme in (1e-9, 1 - 1e-9):  # levels 1 and 255
      self.assertBetween(doubt_of(levels, extreme).margin, 0, 1)

  def test_equal_at_any_size(self):
    small = levels_of(a=((10, 50), (20, 60), 200), b=((50, 60), (20, 60), 120))
    large = small.repeat(9, 0).repeat(9, 1)  # seen from afar for its parts
    self.assertEqual(doubt_of(small), doubt_of(large))

  def test_parts(self):
    two = levels_of(a=((0, 10), (0, 30), 200), b=((50, 60), (50, 60), 200))
    self.assertEqual(doubt_of(two), (0, 0.25, 400 / 20000))
    corner = levels_of(a=((0, 10), (0, 30), 200), b=((10, 20), (30, 40), 200))
    self.assertEqual(doubt_of(corner).apart, 0)

  def test_nothing_found(self):
    for levels in (levels_of(), levels_of(a=((0, 3), (0, 3), 255))):
      found = doubt_of(levels)
      self.assertEqual((found.margin, found.apart), (1, 0))
      self.assertLess(found.covered, 0.001)
