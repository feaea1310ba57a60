"""Which photos are looked at together."""

import chex

from carvana_jax import shares
from carvana_jax.errors import UserError


class CarsTest(chex.TestCase):
  def test_views_of_a_car_come_together(self):
    names = [
      'a_1.jpg',
      'a_1_x.jpg',
      'a_2.jpg',
      'b.1_2.png',
      'b.1_3.png',
      'c.png',
    ]
    self.assertEqual(
      shares.cars(names, together=True),
      [['a_1.jpg', 'a_2.jpg'], ['a_1_x.jpg'], ['b.1_2.png', 'b.1_3.png'],
       ['c.png']],
    )  # fmt: skip
    self.assertEqual(shares.cars(names, together=False), [[x] for x in names])

  def test_more_views_than_a_car_has(self):
    names = [f'IMG_{i:04}.png' for i in range(17)]
    with self.assertRaisesRegex(UserError, 'IMG_… names 17 photos'):
      shares.cars(names, together=True)
    self.assertLen(shares.cars(names[1:], together=True), 1)
