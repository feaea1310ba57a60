"""Cars on other backgrounds, by hand."""

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.masks import composite
from carvana_jax.system.errors import UserError


class ColourTest(chex.TestCase):
  @parameterized.parameters(
    ('white', (255, 255, 255)),
    ('#00b900', (0, 185, 0)),
    ('#f0a', (255, 0, 170)),
    ('00B900', (0, 185, 0)),
    ('DarkGreen', (0, 100, 0)),
    ('rgb(1, 2, 3)', (1, 2, 3)),
  )
  def test_known(self, text, colour):
    self.assertEqual(composite.parse_colour(text), colour)

  @parameterized.parameters(
    '', 'blau', '#12', 'studio.jpg', '#11223344', 'rgb(300, 0, 0)'
  )
  def test_unknown(self, text):
    with self.assertRaises(UserError) as caught:
      composite.parse_colour(text)
    message = str(caught.exception)
    self.assertIn(repr(text), message)
    self.assertIn('rrggbb', message)
    self.assertNotIn('\n', message)

  def test_plain_background(self):
    found = composite.plain_background((1, 2, 3), 4, 5)
    chex.assert_shape(found, (4, 5, 3))
    self.assertTrue((found == [1, 2, 3]).all())


class CoverTest(chex.TestCase):
  def test_its_own_size(self):
    picture = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    chex.assert_trees_all_equal(composite.fill_frame(picture, 7, 9), picture)

  @parameterized.parameters(False, True)
  def test_the_middle_at_half_the_size(self, tall):
    picture = np.zeros((4, 12, 3), np.uint8)
    picture[:, :4] = picture[:, 8:] = 255  # what is cut off
    picture[:2, 4:6] = 200
    picture[0, 6:8] = 10
    picture[1, 6:8] = 30
    expected = np.zeros((2, 2, 3), np.uint8)
    expected[0] = [[200] * 3, [20] * 3]
    if tall:
      picture, expected = (
        x.transpose(1, 0, 2).copy() for x in (picture, expected)
      )
    chex.assert_trees_all_equal(composite.fill_frame(picture, 2, 2), expected)

  @parameterized.parameters((1, 1), (2, 3), (30, 5), (5, 30), (100, 140))
  def test_fills_any_frame(self, height, width):
    picture = np.full((height, width, 3), (9, 90, 200), np.uint8)
    for frame in ((1, 1), (2, 3), (20, 30), (31, 17)):
      found = composite.fill_frame(picture, *frame)
      chex.assert_trees_all_equal(
        found, composite.plain_background((9, 90, 200), *frame)
      )

  def test_the_middle_of_a_large_frame(self):
    ramp = np.tile(np.arange(60, dtype=np.uint8)[:, None], (1, 20))
    picture = np.stack([ramp] * 3, -1)
    found = composite.fill_frame(picture, 40, 40)[..., 0].astype(float)
    # Twice as large: rows 20 to 39 are in sight.
    expected = 19.75 + np.arange(40) / 2
    chex.assert_trees_all_close(found.mean(1), expected, atol=1)


class ComposeTest(chex.TestCase):
  def test_by_hand(self):
    colours = np.full((1, 4, 3), (200, 100, 0), np.uint8)
    background = np.full((1, 4, 3), (40, 80, 250), np.uint8)
    alpha = np.array([[0, 51, 255, 0]], np.uint8)
    shadow = np.array([[255, 102, 0, 51]], np.uint8)
    found = composite.compose(colours, alpha, background, shadow)
    expected = [
      [40, 80, 250],
      [40 + 12.8, 20 + 25.6, 80],  # a fifth of the car, on 0.4 of the light
      [200, 100, 0],
      [8, 16, 50],
    ]
    expected = np.rint(expected).astype(np.uint8)[None]
    chex.assert_trees_all_equal(found, expected)

  @parameterized.parameters((1, 1), (2, 3))
  def test_tiny(self, height, width):
    car, wall = (
      composite.plain_background((x,) * 3, height, width) for x in (200, 50)
    )
    for opacity, expected in ((0, 50), (255, 200), (102, 110)):
      alpha = np.full((height, width), opacity, np.uint8)
      found = composite.compose(car, alpha, wall, np.full_like(alpha, 255))
      self.assertTrue((found == expected).all())

  def test_arguments_stay_as_they_were(self):
    arrays = [np.full((5, 6, 3), x, np.uint8) for x in (10, 20)]
    masks = [np.full((5, 6), x, np.uint8) for x in (100, 90)]
    composite.compose(arrays[0], masks[0], arrays[1], masks[1])
    self.assertEqual([x.max() for x in arrays + masks], [10, 20, 100, 90])
