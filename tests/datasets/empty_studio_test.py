"""The empty studio: medians of what is not covered."""

import numpy as np
from absl.testing import absltest

from carvana_jax.datasets import empty_studio


class EmptyStudioTest(absltest.TestCase):
  def test_by_hand(self):
    # A line of four pixels in four views; covered values are in brackets:
    # 10 20 30 40 | 10 (20) 30 (250) | (1) (2) 7 (3) | (9) (9) (9) (9)
    views = [[10, 10, 1, 9], [20, 20, 2, 9], [30, 30, 7, 9], [40, 250, 3, 9]]
    covered = [[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]]
    photos = np.repeat(np.uint8(views)[:, None, :, None], 3, axis=3)
    photos[..., 2] += 1
    picture, count = empty_studio.empty_studio(
      photos, np.array(covered, bool)[:, None]
    )
    self.assertEqual(picture.dtype, np.uint8)
    self.assertEqual(picture[0, :, 0].tolist(), [25, 20, 7, 0])
    self.assertEqual(picture[0, :, 2].tolist(), [26, 21, 8, 0])
    self.assertEqual(count.tolist(), [[4, 2, 1, 0]])

  def test_as_numpys_masked_median(self):
    random = np.random.default_rng(0)
    photos = random.integers(0, 256, (7, 20, 9, 3)).astype(np.uint8)
    covered = random.random((7, 20, 9)) < 0.6
    picture, count = empty_studio.empty_studio(photos, covered)
    hidden = np.repeat(covered[..., None], 3, axis=3)
    expected = np.ma.median(np.ma.array(photos, float, mask=hidden), axis=0)
    self.assertTrue((count == 0).any())
    np.testing.assert_array_equal(picture, np.rint(expected.filled(0)))
    np.testing.assert_array_equal(count, 7 - covered.sum(0))

  def test_white_views_count(self):
    photos = np.full((2, 1, 1, 3), 255, np.uint8)
    covered = np.array([False, True])[:, None, None]
    picture, count = empty_studio.empty_studio(photos, covered)
    self.assertEqual(picture.max(), 255)
    self.assertEqual(count.item(), 1)

  def test_cover_is_wider_by_the_margin(self):
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    covered = empty_studio.cover([mask, ~mask], 2)
    self.assertEqual(covered.shape, (2, 9, 9))
    self.assertEqual(covered[0, 4].tolist(), [0, 0, 1, 1, 1, 1, 1, 0, 0])
    self.assertEqual(covered[0, :, 4].tolist(), [0, 0, 1, 1, 1, 1, 1, 0, 0])
    self.assertFalse(covered[0, 2, 2])  # a disc, no square
    self.assertTrue(covered[1].all())


if __name__ == '__main__':
  absltest.main()
