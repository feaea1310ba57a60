"""Which masks stand out among made-up shapes."""

import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.datasets.diagnosis import mask_outliers
from carvana_jax.datasets.diagnosis.mask_outliers import MEASURES, Shape


def turn(cars=20, noise=0.02):
  """All views of cars that are long from the side and short from the front."""
  rng = np.random.default_rng(0)
  found = []
  for car in range(cars):
    size = np.exp(rng.normal(0, 0.05))
    for view in range(1, 17):
      side = np.sin(2 * np.pi * (view - 1) / 16) ** 2
      area = (0.1 + 0.1 * side) * size * np.exp(rng.normal(0, noise))
      half = np.array([0.2, 0.2 + 0.1 * side]) * size
      half = half + rng.normal(0, noise / 10, 2)
      box = np.concatenate([0.5 - half, 0.5 + half])
      found.append(Shape(f'car{car}', view, area, box))
  return found


def positions(result):
  return [oddity.position for oddity in result[0]]


class OutliersTest(absltest.TestCase):
  def test_clean(self):
    self.assertEqual(mask_outliers.outliers(turn()), ([], 320))

  def test_is_relative_to_the_view(self):
    found = turn()
    # As large as any car is from its side, but this is the front.
    found[32] = found[32]._replace(area=0.2)
    (oddity,) = mask_outliers.outliers(found)[0]
    self.assertEqual(oddity.position, 32)
    self.assertAlmostEqual(oddity.value, 0.2)
    self.assertAlmostEqual(oddity.expected, 0.1, delta=0.01)

  def test_score_is_by_hand(self):
    # Logarithms -1, -0.9, ... , -0.1 of the areas of view 1, and one at 2.
    logs = [*np.arange(-10, 0) / 10, 2]
    box = np.array([0.1, 0.1, 0.9, 0.9])
    found = [
      Shape(str(car), 1, float(np.exp(log)) / 10, box)
      for car, log in enumerate(logs)
    ]
    (oddity,) = mask_outliers.outliers(found)[0]
    # Median -0.5; distances 0.5 0.4 ... 0.4 and 2.5: their median is 0.3.
    self.assertEqual(oddity.position, 10)
    self.assertAlmostEqual(oddity.deviation, 2.5 / (1.4826 * 0.3 * 5))

  def test_two_cars_tell_nothing(self):
    self.assertEqual(mask_outliers.outliers(turn(cars=2)), ([], 0))
    self.assertEqual(mask_outliers.disagreeing(turn(cars=2)), ([], 0))

  def test_nothing(self):
    self.assertEqual(mask_outliers.outliers([]), ([], 0))
    self.assertEqual(mask_outliers.disagreeing([]), ([], 0))


class DisagreeingTest(parameterized.TestCase):
  def test_clean(self):
    self.assertEqual(mask_outliers.disagreeing(turn()), ([], 320))

  @parameterized.parameters(
    ('area', (0, 0, 0, 0), 0.6),
    ('from the top', (0.06, 0, 0.06, 0), 1),
    ('from the left', (0, -0.06, 0, -0.06), 1),
    ('height', (-0.06, 0, 0.06, 0), 1),
    ('width', (0, 0.06, 0, -0.06), 1),
  )
  def test_names_what_is_off(self, name, moved, factor):
    found = turn()
    shape = found[37]
    found[37] = shape._replace(area=shape.area * factor, box=shape.box + moved)
    (oddity,) = mask_outliers.disagreeing(found)[0]
    self.assertEqual((oddity.position, oddity.measure), (37, name))
    number = MEASURES.index(name)
    before, after = (
      mask_outliers._measures(x)[number] for x in (shape, found[37])
    )
    if name in ('area', 'height', 'width'):
      before, after = np.exp([before, after])
    self.assertAlmostEqual(oddity.value, after)
    self.assertAlmostEqual(oddity.expected, before, delta=0.02)

  @parameterized.parameters(0, 15)
  def test_views_are_a_circle(self, view):
    found = turn()
    found[view] = found[view]._replace(area=found[view].area * 0.6)
    self.assertEqual(positions(mask_outliers.disagreeing(found)), [view])

  def test_all_wrong_views_of_a_car(self):
    found = turn()
    for view in (2, 7, 12):
      found[view] = found[view]._replace(area=found[view].area * 0.5)
    self.assertCountEqual(
      positions(mask_outliers.disagreeing(found)), [2, 7, 12]
    )

  def test_a_car_that_differs_in_all_views_is_no_error(self):
    found = turn()
    rng = np.random.default_rng(1)
    factors = np.exp(0.15 * rng.permutation(np.linspace(-1, 1, 16)))
    for view, factor in enumerate(factors):
      found[view] = found[view]._replace(area=found[view].area * factor)
    self.assertEmpty(positions(mask_outliers.disagreeing(found)))
    # The same factor alone is one.
    alone = turn()
    alone[5] = alone[5]._replace(area=alone[5].area * np.exp(0.15))
    self.assertEqual(positions(mask_outliers.disagreeing(alone)), [5])

  def test_beside_a_missing_view_nothing_is_compared(self):
    found = turn()
    del found[5]
    self.assertEqual(mask_outliers.disagreeing(found), ([], 317))


if __name__ == '__main__':
  absltest.main()
