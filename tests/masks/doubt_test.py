"""The doubt in masks, counted by hand."""

import chex
import numpy as np

from carvana_jax.masks import doubt


def levels_of(*parts, base=0):
  """240x480 pixels of one level; parts are (rows, columns, level)."""
  levels = np.full((240, 480), base, np.uint8)
  for rows, columns, level in parts:
    levels[slice(*rows), slice(*columns)] = level
  return levels


def unsure(level, threshold=128):
  """1 at the threshold, by the probability at the middle of a level."""
  probability = 1 / (1 + np.exp(-(level + 0.5 - threshold) / 16))
  return 2 * min(probability, 1 - probability)


def doubt_of(levels, level=128):
  threshold = 1 / (1 + np.exp((128 - level) / 16))
  return doubt.of(levels, levels >= level, threshold)


class DoubtTest(chex.TestCase):
  def test_vague_along_the_border(self):
    # A strip of mask with two straight borders: the two pixels to both sides of
    # a border count, whatever the others are.
    levels = levels_of(((100, 140), (0, 480), 250), base=3)
    levels[98:100] = levels[140:142] = 100
    levels[100:102] = levels[138:140] = 140
    found = doubt_of(levels)
    expected = (unsure(100) + unsure(140)) / 2
    self.assertAlmostEqual(found.vague, expected, places=5)
    self.assertEqual((found.apart, found.covered), (0, round(40 / 240, 5)))
    levels[97], levels[102] = 120, 130
    self.assertEqual(doubt_of(levels).vague, found.vague)

  def test_vague_is_about_the_threshold(self):
    for level in (1, 40, 168, 255):
      levels = levels_of(((100, 240), (0, 480), 255))
      expected = (unsure(0, level) + unsure(255, level)) / 2
      found = doubt_of(levels, level).vague
      self.assertAlmostEqual(found, expected, places=5)

  def test_equal_at_any_size(self):
    levels = levels_of(
      ((40, 140), (100, 200), 200), ((140, 160), (100, 200), 90)
    )
    large = levels.repeat(3, 0).repeat(3, 1)
    self.assertEqual(doubt_of(levels), doubt_of(large))
    self.assertEqual(doubt_of(levels), doubt_of(levels.T))

  def test_parts(self):
    two = levels_of(((0, 10), (0, 300), 200), ((50, 60), (50, 150), 200))
    self.assertEqual(doubt_of(two).apart, 0.25)
    self.assertEqual(doubt_of(two).covered, round(4000 / 240 / 480, 5))
    corner = levels_of(((0, 10), (0, 300), 200), ((10, 20), (300, 400), 200))
    self.assertEqual(doubt_of(corner).apart, 0)

  def test_nothing_found_or_nothing_else(self):
    self.assertEqual(doubt_of(levels_of()), (1, 0, 0))
    speck = doubt_of(levels_of(((0, 10), (0, 11), 255)))
    self.assertEqual((speck.vague, speck.apart), (1, 0))
    self.assertEqual(doubt_of(levels_of(base=255)), (1, 0, 1))
