"""Cut-outs of drawn cars whose opacity and colours are known."""

import chex
import numpy as np
from absl.testing import parameterized
from scipy import ndimage

from carvana_jax.masks import cutout, from_logits

_RED, _STUDIO = np.array([150, 20, 30]), np.array([236, 238, 235])


def disc(radius, shape=(80, 120)):
  """Distance to the border of a disc in the middle, positive inside."""
  y, x = np.indices(shape)
  return radius - np.hypot(y - shape[0] / 2, x - shape[1] / 2)


def as_levels(distance, slope, middle=128):
  """Levels that cross the lower end of the middle one at distance 0."""
  levels = np.floor(middle + slope * distance)
  return np.clip(levels, 0, 255).astype(np.uint8)


def drawn(distance, car, lens):
  """A car before a white studio: photo, and opacity without a lens."""
  opacity = np.clip(0.5 + distance / 2, 0, 1)[..., None]
  photo = opacity * car + (1 - opacity) * _STUDIO
  photo = ndimage.gaussian_filter(photo, (lens, lens, 0))
  return np.rint(photo).astype(np.uint8), np.rint(255 * opacity[..., 0])


class AlphaTest(chex.TestCase):
  @parameterized.parameters(False, True)
  def test_a_contour_between_pixels_by_hand(self, upright):
    # A level's middle, 0.5 + 26 + 5 x, is 128, the threshold, at x = 20.3.
    levels = np.tile(26 + 5 * np.arange(40, dtype=np.uint8), (30, 1))
    # Columns 19 to 22 are -1.3, -0.3, 0.7 and 1.7 pixels inside of it.
    expected = np.repeat([0, 0, 89, 217, 255], [19, 1, 1, 1, 18])
    expected = np.tile(expected.astype(np.uint8), (30, 1))
    if upright:
      levels, expected = levels.T.copy(), expected.T
    found = cutout.alpha(levels, levels >= 128, 0.5)
    chex.assert_trees_all_equal(found, expected)

  @parameterized.parameters(2, 8, 50, 400)
  def test_a_ramp_is_two_pixels_however_wide_that_of_the_levels(self, slope):
    distance = disc(25.3)
    levels = as_levels(distance, slope)
    found = cutout.alpha(levels, levels >= 128, 0.5) / 255
    error = np.abs(found - np.clip(0.5 + distance / 2, 0, 1))
    self.assertLess(error.max(), 0.2)
    self.assertLess(error[np.abs(distance) < 1].mean(), 0.05)

  def test_other_threshold(self):
    distance, level = disc(25.3), from_logits.level_of(0.75)
    levels = as_levels(distance, 6, level)
    found = cutout.alpha(levels, levels >= level, 0.75) / 255
    error = np.abs(found - np.clip(0.5 + distance / 2, 0, 1))
    self.assertLess(error.max(), 0.2)

  @parameterized.parameters(*range(4))
  def test_the_mask_is_believed(self, seed):
    rng = np.random.default_rng(seed)
    levels, shape = ndimage.gaussian_filter(
      rng.normal(size=(2, 60, 90)), (0, 3, 3)
    )
    levels = as_levels(levels, 600)
    for mask in (levels >= 128, shape > 0, levels + 300 * shape > 140):
      found = cutout.alpha(levels, mask, 0.5)
      chex.assert_trees_all_equal(found >= 128, mask)
      # Where all eight pixels around agree, there is no border.
      window = np.ones((3, 3))
      self.assertTrue(
        (found[ndimage.binary_erosion(mask, window)] == 255).all()
      )
      clear = ndimage.binary_erosion(~mask, window)
      self.assertTrue((found[clear] == 0).all())

  def test_a_filled_hole_is_opaque(self):
    levels = as_levels(disc(30.0), 200)
    levels[38:42, 58:62] = 0
    found = cutout.alpha(levels, disc(30.0) > 0, 0.5)
    self.assertTrue((found[30:50, 50:70] == 255).all())

  @parameterized.parameters((1, 1), (2, 3), (1, 40), (30, 40))
  def test_nothing_or_everything(self, height, width):
    levels = np.full((height, width), 200, np.uint8)
    for mask in (np.zeros_like(levels, bool), np.ones_like(levels, bool)):
      found = cutout.alpha(levels, mask, 0.5)
      chex.assert_trees_all_equal(found, mask.astype(np.uint8) * 255)


class DecontaminateTest(chex.TestCase):
  @parameterized.product(lens=(0.0, 1.0), black=(False, True))
  def test_one_colour_is_found(self, lens, black):
    car = np.array([12, 10, 14]) if black else _RED
    photo, opacity = drawn(disc(25.3), car, lens)
    found = cutout.decontaminate(photo, opacity.astype(np.uint8)).astype(int)
    mixed = (opacity > 0) & (opacity < 255)
    self.assertGreater(np.abs(photo[mixed] - car).mean(), 50)
    # A lens mixes some of the opaque pixels too.
    seen = opacity > 0
    self.assertLess(np.abs(found[seen] - car).max(), 12)
    self.assertLess(np.abs(found[mixed] - car).mean(), 3)

  def test_a_thin_line(self):
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, 10:13] = [51, 255, 204]
    share = alpha[..., None] / 255
    photo = np.rint(share * _RED + (1 - share) * _STUDIO).astype(np.uint8)
    found = cutout.decontaminate(photo, alpha)
    error = np.abs(found[:, 10:13].astype(int) - _RED)
    self.assertLessEqual(error.max(), 1)

  def test_a_pattern_is_kept(self):
    y, x = np.indices((80, 120))
    waves = np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)
    car = 90 + 40 * np.stack(waves, -1)
    photo, opacity = drawn(disc(30.6), car, 0.6)
    found = cutout.decontaminate(photo, opacity.astype(np.uint8))
    mixed = (opacity > 0) & (opacity < 255)
    error = lambda colours: np.abs(colours - car)[mixed].mean()
    self.assertGreater(error(photo), 10 * error(found))

  def test_only_the_border_changes(self):
    photo, opacity = drawn(disc(20.0), _RED, 1.0)
    photo[::7, ::5] = 99
    found = cutout.decontaminate(photo, opacity.astype(np.uint8))
    far = np.abs(disc(20.0)) > 3
    chex.assert_trees_all_equal(found[far], photo[far])
    self.assertFalse((found == photo).all())

  def test_a_car_as_white_as_the_studio(self):
    photo = np.full((30, 40, 3), 230, np.uint8)
    opacity = np.rint(255 * np.clip(0.5 + disc(8.2, (30, 40)), 0, 1))
    found = cutout.decontaminate(photo, opacity.astype(np.uint8))
    chex.assert_trees_all_equal(found, photo)

  @parameterized.parameters((1, 1), (2, 3), (20, 30))
  def test_no_colour_to_tell_it_from(self, height, width):
    photo = np.full((height, width, 3), (7, 80, 200), np.uint8)
    for opacity in (0, 100, 255):
      alpha = np.full((height, width), opacity, np.uint8)
      found = cutout.decontaminate(photo, alpha)
      chex.assert_trees_all_equal(found, photo)


class CutOutTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.photo = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    self.alpha = np.zeros((20, 30), np.uint8)
    self.alpha[4:9, 10:22] = 255
    self.alpha[9, 15] = 1

  def test_trimmed(self):
    found = cutout.cut_out(self.photo, self.alpha, trim=True)
    chex.assert_shape(found, (6, 12, 4))
    chex.assert_trees_all_equal(found[..., 3], self.alpha[4:10, 10:22])
    self.alpha[0, 0] = 255  # a speck in a corner
    again = cutout.cut_out(self.photo, self.alpha, trim=True)
    chex.assert_trees_all_equal(again, found)

  def test_whole(self):
    found = cutout.cut_out(self.photo, self.alpha, trim=False)
    chex.assert_trees_all_equal(found[..., 3], self.alpha)
    kept = found[..., :3].any(-1)
    # One pixel more than what is seen: rows 3 to 9, and three of row 10.
    self.assertEqual(kept.sum(), 7 * 14 + 3)
    chex.assert_trees_all_equal(found[kept][:, :3], self.photo[kept])

  @parameterized.parameters((20, 30), (1, 1), (2, 3))
  def test_nothing_to_trim(self, height, width):
    for opacity, trim in ((0, True), (255, True), (255, False)):
      alpha = np.full((height, width), opacity, np.uint8)
      found = cutout.cut_out(self.photo[:height, :width], alpha, trim)
      chex.assert_shape(found, (height, width, 4))
      self.assertTrue((found[..., 3] == opacity).all())
