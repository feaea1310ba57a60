"""Holes and parts of masks, by hand."""

import chex
import numpy as np

from carvana_jax.configs import default
from carvana_jax.masks import cleaning


def parse(text):
  """Lines of # and . -> bool [H, W]."""
  return np.array([[c == '#' for c in line] for line in text.split()])


BEFORE = parse("""
  .#..####
  #.#.#..#
  .#..####
  ......#.
  ##......
  .#....#.""")


class CleaningTest(chex.TestCase):
  def test_by_hand(self):
    for way, after in (
      ('holes', """
        .#..####
        ###.####
        .#..####
        ......#.
        ##......
        .#....#."""),
      # The ring on the left is connected at its corners only.
      ('largest', """
        ....####
        ....#..#
        ....####
        ......#.
        ........
        ........"""),
      ('holes+largest', """
        ....####
        ....####
        ....####
        ......#.
        ........
        ........"""),
    ):  # fmt: skip
      result = cleaning.clean(BEFORE, way)
      self.assertEqual(result.dtype, bool)
      chex.assert_trees_all_equal(result, parse(after))
    chex.assert_trees_all_equal(cleaning.clean(BEFORE, 'none'), BEFORE)

  def test_full_and_empty_masks_stay(self):
    full = np.ones((3, 4), bool)
    for way in cleaning.WAYS:
      chex.assert_trees_all_equal(cleaning.clean(full, way), full)
      chex.assert_trees_all_equal(cleaning.clean(~full, way), ~full)

  def test_configured_way(self):
    config = default.get_config().eval
    self.assertEqual(cleaning.configured_way(config), 'none')
    config.fill_holes = True
    self.assertEqual(cleaning.configured_way(config), 'holes')
    config.keep_largest = True
    self.assertEqual(cleaning.configured_way(config), 'holes+largest')
