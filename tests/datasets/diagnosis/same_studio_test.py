"""Views of made-up objects that turn before a wall with letters."""

import cv2
import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.datasets.diagnosis import same_studio

SIZE = (160, 240)
VIEWS = 8


def wall(seed):
  """Luminance of an empty studio, float [160, 240]."""
  light = np.linspace(220, 120, SIZE[0])[:, None] * np.ones(SIZE)
  random = np.random.default_rng(seed)
  for left in range(10, 220, 30):
    top = int(random.integers(10, 120))
    cv2.rectangle(light, (left, top), (left + 16, top + 12), 60, 2)
  return light


def view(number, seed=0, moved=0, lit=1.0):
  """Luminance and mask of a view, uint8 [160, 240]."""
  light, mask = wall(seed), np.zeros(SIZE, np.uint8)
  left = 40 + 12 * number
  mask[50:110, left : left + 70] = 255
  light[mask > 0] = 20 + 20 * number
  light, mask = (np.roll(x, moved, axis=1) for x in (light, mask))
  noise = np.random.default_rng([seed, number]).normal(0, 1, SIZE)
  return (lit * light + noise).clip(0, 255).astype(np.uint8), mask


def odd(made):
  """Odd views of [(object, light, mask)], and how many were compared."""
  small = [same_studio.small(*pair) for _, *pair in made]
  return same_studio.odd(small, [name for name, *_ in made])


def turn(name='a', views=VIEWS, **options):
  return [(name, *view(number, **options)) for number in range(views)]


class SameStudioTest(parameterized.TestCase):
  @parameterized.parameters({'moved': 2}, {'moved': -3}, {'lit': 0.85})
  def test_a_view_of_another_studio(self, **changed):
    made = turn() + turn('b', seed=1)
    self.assertEqual(odd(made), ([], 16))
    made[3] = ('a', *view(3, **changed))
    made[12] = ('b', *view(4, seed=1, **changed))
    self.assertEqual(odd(made), ([(3, 7, 8), (12, 7, 8)], 16))

  def test_in_any_order(self):
    made = turn() + turn('b', seed=1)
    made[3] = ('a', *view(3, moved=4))
    order = np.random.default_rng(0).permutation(len(made)).tolist()
    found, count = odd([made[x] for x in order])
    self.assertEqual(found, [(order.index(3), 7, 8)])
    self.assertEqual(count, 16)

  def test_no_studio_is_meant(self):
    by_hand = [('a', *view(number, seed=number)) for number in range(VIEWS)]
    single = [(str(number), *view(number)) for number in range(VIEWS)]
    self.assertEqual(odd(by_hand + single), ([], 0))

  def test_views_of_other_sizes_are_apart(self):
    made = turn(views=5)
    tall = [
      ('a', *(np.ascontiguousarray(x.T) for x in pair))
      for _, *pair in turn(views=4, seed=1)
    ]
    self.assertEqual(odd(made + tall), ([], 9))

  def test_large_photos_are_kept_small(self):
    light, mask = (cv2.resize(x, (1920, 1280)) for x in view(0))
    light[mask == 0] = 0
    light[mask > 0] = 80
    kept = same_studio.small(light, mask)
    self.assertEqual(kept.shape, (160, 240))
    self.assertEqual((kept[80, 60], kept[80, 200]), (0, 1))


if __name__ == '__main__':
  absltest.main()
