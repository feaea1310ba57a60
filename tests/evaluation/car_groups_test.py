"""Names of paints."""

import chex
import cv2
import numpy as np
from absl.testing import parameterized

from carvana_jax.evaluation import car_groups


class ColoursTest(chex.TestCase):
  @parameterized.parameters(
    ((200, 20, 30), 'red'),
    ((20, 40, 160), 'blue'),
    ((20, 110, 40), 'green'),
    ((240, 220, 30), 'yellow'),
    ((110, 60, 20), 'brown'),
    ((20, 20, 22), 'dark'),
    ((95, 95, 100), 'dark'),
    ((160, 160, 165), 'silver'),
    ((235, 235, 230), 'white'),
  )
  def test_paint_between_dark_windows_and_tyres(self, paint, name):
    photo = np.full((20, 30, 3), 220, np.uint8)
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15] = 255
    photo[5:15] = paint
    photo[5:9] = (15, 18, 16)  # windows and tyres: four of ten rows
    self.assertEqual(car_groups.colour_of(photo, mask), name)

  def test_without_car(self):
    mask = np.zeros((4, 4), np.uint8)
    self.assertEqual(
      car_groups.colour_of(np.zeros((4, 4, 3), np.uint8), mask), ''
    )


# (x, height) of the outline from the nose to the tail, in pixels of a picture
# of 192x128 in which cars stand on row 100.
_NOSE = ((20, 5), (22, 30), (60, 36))
OUTLINES = {
  'sedan or coupe': (*_NOSE, (80, 52), (125, 52), (145, 40), (168, 39),
                     (170, 5)),
  'hatchback or wagon': (*_NOSE, (80, 52), (150, 52), (160, 35), (162, 5)),
  'SUV or van': (*_NOSE, (80, 60), (160, 60), (168, 45), (170, 5)),
  'pickup': (*_NOSE, (80, 62), (115, 62), (120, 44), (178, 44), (180, 5)),
}  # fmt: skip


def drawn(outline):
  """A car with its nose on the left, bool [128, 192]."""
  mask = np.zeros((128, 192), np.uint8)
  points = np.array([(x, 101 - height) for x, height in outline], np.int32)
  cv2.fillPoly(mask, [points], 1)
  for wheel in (50, 140):
    cv2.circle(mask, (wheel, 93), 7, 1, -1)
  return mask.astype(bool)


class BodyTest(chex.TestCase):
  @parameterized.parameters(*OUTLINES)
  def test_outlines_from_both_sides(self, name):
    mask = drawn(OUTLINES[name])
    self.assertEqual(car_groups.body_of(mask, 5, 'Civic'), name)
    self.assertEqual(car_groups.body_of(mask[:, ::-1], 13, 'Civic'), name)

  def test_an_antenna_does_not_make_a_roof(self):
    mask = drawn(OUTLINES['sedan or coupe'])
    mask[25:60, 140:143] = True
    self.assertEqual(car_groups.body_of(mask, 5, ''), 'sedan or coupe')

  def test_any_size_will_do(self):
    mask = drawn(OUTLINES['SUV or van']).repeat(3, 0).repeat(2, 1)
    self.assertEqual(car_groups.body_of(mask, 5, ''), 'SUV or van')

  def test_other_views_and_empty_masks_do_not_tell(self):
    mask = drawn(OUTLINES['pickup'])
    for view in (1, 4, 6, 9, 12, 14, 16):
      self.assertEqual(car_groups.body_of(mask, view, 'F-150'), '')
    self.assertEqual(car_groups.body_of(np.zeros_like(mask), 5, 'F-150'), '')

  def test_rendered_cars_have_it_as_their_model(self):
    mask = drawn(OUTLINES['pickup'])
    for view in (1, 5):
      self.assertEqual(car_groups.body_of(mask, view, 'van'), 'van')
