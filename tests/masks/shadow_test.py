"""Shadows of a drawn car on a floor whose light is known."""

import chex
import cv2
import numpy as np
from absl.testing import parameterized

from carvana_jax.datasets import names
from carvana_jax.masks import shadow

_SIZE = 320, 480
_WHEELS = (150, 330), 230, 25  # columns, row and radius
_CONTACT = 255  # the row of the line below the tyres


def car():
  mask = np.zeros(_SIZE, np.uint8)
  mask[130:235, 110:370] = 1  # 20 rows of floor are seen below the body
  columns, row, radius = _WHEELS
  for column in columns:
    cv2.circle(mask, (column, row), radius, 1, cv2.FILLED)
  mask[140:150, 90:390] = 1  # mirrors
  return mask.astype(bool)


def floor():
  """Brighter to the right and to the front."""
  y, x = np.indices(_SIZE)
  return (150 + x / 12 + y / 10).astype(np.float32)


def cast():
  """What the drawn shadow leaves: least between the wheels, all far away."""
  y, x = np.indices(_SIZE)
  along = np.maximum(np.abs(x - 240) - 90, 0)
  return 1 - 0.7 * np.exp(-((along / 25) ** 2) - ((y - 250) / 14) ** 2)


def photo(light):
  """Gray light; a wall with letters behind the car, which is red."""
  found = np.stack([light] * 3, -1)
  found[:100] = 240
  found[40:90, ::9] = 30
  found[car()] = (150, 20, 30)
  return np.rint(found).astype(np.uint8)


def beside():
  """Pixels of the floor that are clear of the car."""
  clear = cv2.erode((~car()).view(np.uint8), np.ones((9, 9), np.uint8)) > 0
  clear[:237] = False
  return clear


class OwnTest(chex.TestCase):
  def test_it_is_found(self):
    found = shadow.matte(photo(floor() * cast()), car(), 'own') / 255
    error = np.abs(found - cast())[beside()]
    self.assertLess(error.max(), 0.12)
    self.assertLess(error.mean(), 0.01)
    self.assertLess(found[_CONTACT + 3, 200:280].max(), 0.55)

  def test_none_on_a_bright_floor(self):
    blurred = cv2.GaussianBlur(photo(floor()), (0, 0), 1)  # by a lens
    found = shadow.matte(blurred, car(), 'own')[237:]
    self.assertGreaterEqual(found[~car()[237:]].min(), 250)

  def test_none_on_a_black_floor(self):
    found = shadow.matte(photo(np.zeros(_SIZE, np.float32)), car(), 'own')
    self.assertEqual(found.min(), 255)

  def test_marks_on_the_floor_around_are_no_light(self):
    light = floor()
    light[295:, :200] *= 0.2
    found = shadow.matte(photo(light), car(), 'own')
    self.assertGreaterEqual(found[:290][beside()[:290]].min(), 245)

  def test_walls_and_the_floor_far_away_are_not_shaded(self):
    dark = floor() * cast()
    dark[:, :40] *= 0.5
    dark[100:190, 370:] *= 0.2  # beside the body, where it is no floor
    found = shadow.matte(photo(dark), car(), 'own')
    self.assertTrue((found[:190] == 255).all())
    self.assertTrue((found[:, :20] == 255).all())
    self.assertTrue((found[318:] == 255).all())

  def test_thin_lines_and_reflections_are_none(self):
    light = floor()
    light[262:264] *= 0.4
    light[270:280, 200:260] = 255
    found = shadow.matte(photo(light), car(), 'own')
    self.assertGreaterEqual(found[beside()].min(), 245)

  def test_no_seams(self):
    dark = floor()
    dark[150:300, 80:400] *= 0.5
    found = shadow.matte(cv2.blur(photo(dark), (9, 9)), car(), 'own')
    steps = np.abs(np.diff(found[260:].astype(int), axis=0)).max()
    self.assertLess(steps, 25)

  def test_colours_of_the_floor_do_not_matter(self):
    gray = photo(floor() * cast())
    red = gray.copy()
    red[..., 0] = np.minimum(red[..., 0].astype(int) * 1.2, 255)
    found = [shadow.matte(x, car(), 'own').astype(int) for x in (gray, red)]
    self.assertLess(np.abs(found[0] - found[1])[beside()].max(), 12)

  def test_a_larger_photo_has_the_same(self):
    small = photo(floor() * cast())
    large = cv2.resize(small, None, fx=3, fy=3)
    mask = cv2.resize(car().view(np.uint8), None, fx=3, fy=3) > 0
    found = shadow.matte(large, mask, 'own')
    expected = shadow.matte(small, car(), 'own').astype(int)
    found = cv2.resize(found, _SIZE[::-1], interpolation=cv2.INTER_AREA)
    self.assertLess(np.abs(found - expected)[beside()].mean(), 1.5)


class SyntheticTest(chex.TestCase):
  def test_dark_below_the_car_only(self):
    found = shadow.matte(photo(floor()), car(), 'synthetic')
    chex.assert_trees_all_equal(
      found, shadow.matte(photo(0 * floor()), car(), 'synthetic')
    )
    self.assertLess(found[245, 180:300].max(), 160)  # between the wheels
    self.assertLess(found[_CONTACT, _WHEELS[0][0]], 160)  # at a tyre
    self.assertGreater(found[_CONTACT + 10, 240], found[_CONTACT, 240])
    for part in (found[:130], found[300:], found[:, :40], found[:, 440:]):
      self.assertTrue((part == 255).all())

  def test_a_speck_far_away_changes_nothing(self):
    speck = car()
    speck[310:314, 2:6] = True
    for kind in ('own', 'synthetic'):
      light = photo(floor() * cast())
      found = shadow.matte(light, speck, kind).astype(int)
      change = np.abs(found - shadow.matte(light, car(), kind))
      self.assertLess(change[:290].max(), 3)

  def test_less_before_and_behind_the_wheels(self):
    mask = car()
    mask[130:225, 80:400] = True
    found = shadow.matte(photo(floor()), mask, 'synthetic').astype(int)
    between, near, end = found[245, [240, 115, 85]]
    self.assertGreater(near, between + 30)
    self.assertGreater(end, near + 30)
    self.assertGreater(end, 220)

  def test_as_wide_on_both_sides(self):
    mask = car()
    mask = mask | mask[:, ::-1]
    found = shadow.matte(photo(floor()), mask, 'synthetic').astype(int)
    self.assertLess(np.abs(found - found[:, ::-1]).max(), 2)


class AnyTest(chex.TestCase):
  @parameterized.product(
    size=((1, 1), (2, 3), (1, 600), (700, 3), (40, 60)), kind=names.SHADOWS
  )
  def test_without_floor_or_without_car(self, size, kind):
    picture = np.full((*size, 3), 90, np.uint8)
    empty = shadow.matte(picture, np.zeros(size, bool), kind)
    chex.assert_trees_all_equal(empty, np.full(size, 255, np.uint8))
    full = shadow.matte(picture, np.ones(size, bool), kind)
    chex.assert_shape(full, size)
    if kind != 'synthetic':  # there all of it is behind the car
      chex.assert_trees_all_equal(full, empty)

  @parameterized.parameters(*names.SHADOWS)
  def test_the_same_again(self, kind):
    given = photo(floor() * cast()), car(), kind
    chex.assert_trees_all_equal(shadow.matte(*given), shadow.matte(*given))

  def test_none(self):
    found = shadow.matte(photo(floor() * cast()), car(), 'none')
    self.assertTrue((found == 255).all())


class GroundTest(chex.TestCase):
  def test_the_line_of_contact_is_level_beside_the_wheels(self):
    found = shadow.find_ground(car())
    rows = np.indices(_SIZE)[0]
    line = rows + found.height * found.size
    chex.assert_trees_all_close(line, np.full(_SIZE, _CONTACT + 1.0), atol=1.5)
    self.assertAlmostEqual(found.size, car().sum() ** 0.5, 3)
    self.assertEqual(found.aside[240], 0)
    self.assertAlmostEqual(found.aside[400] * found.size, 400 - 330, delta=8)

  def test_it_slopes_as_wheels_do(self):
    rows = np.indices((100, 200))[0]
    # The lower sides of a bumper and of two wheels, and a body.
    mask = np.zeros((100, 200), bool)
    mask[20:60, 20:180] = True
    mask[60:80, 50:60] = mask[60:70, 140:150] = True
    found = shadow.find_ground(mask)
    line = (rows + found.height * found.size)[0]
    self.assertAlmostEqual(line[0], 80, 3)
    self.assertAlmostEqual(line[59], 80, 3)
    self.assertAlmostEqual(line[104], 75, 3)  # half way to 149
    self.assertAlmostEqual(line[199], 60, 3)  # along the bumper: it is level

  def test_what_is_below(self):
    found = shadow.find_ground(car()).below
    self.assertTrue(found[236:254, 190:290].all())
    self.assertFalse((found & car()).any())
    self.assertFalse(found[_CONTACT + 1 :].any())
    self.assertFalse(found[150:180].any())  # below the mirrors
