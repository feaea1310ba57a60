"""Photos that are there twice, against distances computed one by one."""

from unittest import mock

import numpy as np
from absl.testing import absltest

from carvana_jax.datasets.diagnosis import duplicates


class EqualTest(absltest.TestCase):
  def test_later_ones_are_equal_to_the_first(self):
    digests = ['a', None, 'b', 'a', None, 'a', 'b']
    self.assertEqual(list(duplicates.equal(digests)), [(0, 3), (0, 5), (2, 6)])


class NearTest(absltest.TestCase):
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
      found = {x[:2]: x[2:] for x in duplicates.near(thumbnails)}
    self.assertEqual(set(found), {(3, 20), (7, 25)})
    self.assertAlmostEqual(found[3, 20][0], distance, places=2)
    self.assertFalse(found[3, 20][1])
    self.assertAlmostEqual(found[7, 25][0], 0, places=1)
    self.assertTrue(found[7, 25][1])

  def test_a_symmetric_photo_is_no_copy_of_itself(self):
    thumbnails = np.full((1, 24, 36), 90, np.uint8)
    self.assertEmpty(list(duplicates.near(thumbnails)))


if __name__ == '__main__':
  absltest.main()
