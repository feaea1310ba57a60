"""Photos that are there twice, against distances computed one by one."""

from unittest import mock

import cv2
import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.datasets.diagnosis import duplicates

AREA = cv2.INTER_AREA


def near(thumbnails):
  """Finds pairs, of thumbnails with colours or in grey."""
  if thumbnails.ndim == 3:
    return duplicates.near(thumbnails, np.stack(3 * [thumbnails], axis=-1))
  light = thumbnails.mean(-1).astype(np.uint8)
  return duplicates.near(light, thumbnails)


def pairs_below(colours, limit):
  light = colours.mean(-1)
  return [
    (first, second)
    for second in range(len(light))
    for first in range(second)
    if np.sqrt(np.mean(np.square(light[first] - light[second]))) < limit
  ]


class EqualTest(absltest.TestCase):
  def test_later_ones_are_equal_to_the_first(self):
    digests = ['a', None, 'b', 'a', None, 'a', 'b']
    self.assertEqual(list(duplicates.equal(digests)), [(0, 3), (0, 5), (2, 6)])


class NearTest(parameterized.TestCase):
  def test_all_pairs(self):
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 256, (30, 24, 36)).astype(np.uint8)
    noise = rng.integers(-1, 2, (24, 36))
    alike = np.clip(thumbnails[3].astype(int) + noise, 0, 255)
    thumbnails[20] = alike
    thumbnails[25] = thumbnails[7, :, ::-1]
    thumbnails[29] = np.clip(thumbnails[4].astype(int) + 6, 0, 255)
    distance = np.sqrt(np.mean(np.square(alike - thumbnails[3].astype(int))))
    with mock.patch.object(duplicates, '_BLOCK', 8):
      found = {x[:2]: x[2:] for x in near(thumbnails)}
    self.assertEqual(set(found), {(3, 20), (7, 25)})
    self.assertAlmostEqual(found[3, 20][0], distance, places=2)
    self.assertFalse(found[3, 20][1])
    self.assertAlmostEqual(found[7, 25][0], 0, places=1)
    self.assertTrue(found[7, 25][1])

  def test_a_symmetric_photo_is_no_copy_of_itself(self):
    thumbnails = np.full((1, 24, 36), 90, np.uint8)
    self.assertEmpty(list(near(thumbnails)))

  @parameterized.parameters(8, 40)  # of fewer, each has a backdrop of its own
  def test_small_objects_on_one_backdrop(self, count):
    rng = np.random.default_rng(0)
    photos = np.full((count, 96, 144, 3), 245, np.uint8)
    for photo in photos:
      centre = rng.integers((69, 45), (75, 51)).tolist()
      colour = rng.integers(20, 200, 3).tolist()
      axes = rng.integers(6, 10, 2).tolist()
      cv2.ellipse(photo, centre, axes, 0, 0, 360, colour, -1)
    small = lambda photo: cv2.resize(photo, (36, 24), interpolation=AREA)
    colours = np.stack([*map(small, photos)])
    self.assertNotEmpty(pairs_below(colours, duplicates.NEAR))
    self.assertEmpty(list(near(colours)))
    half = cv2.resize(photos[1], None, fx=0.5, fy=0.5, interpolation=AREA)
    noise = rng.integers(-3, 4, half.shape)
    half = np.clip(half + noise, 0, 255).astype(np.uint8)
    copies = np.stack([*colours, small(half), small(photos[2, :, ::-1])])
    found = [x[:2] for x in near(copies)]
    self.assertCountEqual(found, [(1, count), (2, count + 1)])


if __name__ == '__main__':
  absltest.main()
