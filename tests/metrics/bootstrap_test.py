"""Intervals by car against what is known of them."""

import chex
import numpy as np

from carvana_jax.metrics import bootstrap


class BootstrapTest(chex.TestCase):
  def test_one_car_has_no_spread(self):
    low, high = bootstrap.interval([0.2, 0.4], ['a', 'a'])
    self.assertAlmostEqual(low, 0.3)
    self.assertAlmostEqual(high, 0.3)

  def test_views_of_a_car_are_drawn_together(self):
    # Sixteen equal views tell no more than one.
    rng = np.random.default_rng(1)
    values = rng.normal(size=20)
    cars = [f'{i}' for i in range(20)]
    once = bootstrap.interval(values, cars)
    often = bootstrap.interval(np.repeat(values, 16), np.repeat(cars, 16))
    chex.assert_trees_all_close(often, once, atol=1e-9)

  def test_width_is_that_of_the_normal_distribution(self):
    rng = np.random.default_rng(2)
    values = rng.normal(size=400)
    low, high = bootstrap.interval(values, [f'{i}' for i in range(400)])
    expected = 2 * 1.96 * values.std() / 20
    self.assertAlmostEqual((high - low) / expected, 1, delta=0.05)
    self.assertBetween(values.mean(), low, high)

  def test_cars_with_more_views_weigh_more(self):
    low, high = bootstrap.interval([0, 0, 0, 1], ['a', 'a', 'a', 'b'])
    self.assertEqual((low, high), (0, 1))

  def test_repeats(self):
    values, cars = np.arange(9.0), list('abcabcabc')
    self.assertEqual(
      bootstrap.interval(values, cars), bootstrap.interval(values, cars)
    )
