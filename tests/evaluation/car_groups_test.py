"""Names of paints."""

import chex
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
    self.assertEqual(car_groups.name_of(photo, mask), name)

  def test_without_car(self):
    mask = np.zeros((4, 4), np.uint8)
    self.assertEqual(
      car_groups.name_of(np.zeros((4, 4, 3), np.uint8), mask), ''
    )
