"""The empty studio: medians of what is not covered."""

import cv2
import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.datasets import empty_studio


class EmptyStudioTest(parameterized.TestCase):
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

  @parameterized.parameters(2, 3, 4, 7, 16, 23)
  def test_as_numpys_masked_median(self, views):
    random = np.random.default_rng(views)
    photos = random.integers(0, 256, (views, 80, 30, 3)).astype(np.uint8)
    covered = random.random((views, 80, 30)) < random.random((80, 30))
    picture, count = empty_studio.empty_studio(photos, covered)
    hidden = np.repeat(covered[..., None], 3, axis=3)
    expected = np.ma.median(np.ma.array(photos, float, mask=hidden), axis=0)
    self.assertTrue((count == 0).any())
    np.testing.assert_array_equal(picture, np.rint(expected.filled(0)))
    np.testing.assert_array_equal(count, views - covered.sum(0))

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


def turntable(views=6, seed=0):
  """A studio of noise, photos of a car that moves before it, and its masks."""
  random = np.random.default_rng(seed)
  studio = random.integers(0, 200, (60, 90, 3)).astype(np.uint8)
  studio = cv2.GaussianBlur(studio, (0, 0), 2)  # of no steps but slopes
  photos, masks = [], []
  for view in range(views):
    mask = np.zeros(studio.shape[:2], np.uint8)
    mask[20:40, 8 * view : 8 * view + 30] = 255
    photos.append(np.where(mask[..., None] > 0, np.uint8(230), studio))
    masks.append(mask)
  return studio, photos, masks


class FindTest(absltest.TestCase):
  def test_it_is_what_no_car_hides(self):
    studio, photos, masks = turntable()
    found = empty_studio.find(photos, masks)
    self.assertTrue(found.fits.all())
    known = found.count > 0
    np.testing.assert_array_equal(found.picture[known], studio[known])
    self.assertTrue(known[:15].all())
    # The margin is one pixel here; the first and the last view's cars don't
    # meet, so only what is before both is hidden.
    self.assertTrue((found.count[20:40, :70] < 6).all())
    self.assertTrue(known.all())

  def test_too_few_views(self):
    _, photos, masks = turntable()
    self.assertIsNone(empty_studio.find([], []))
    self.assertIsNone(empty_studio.find(photos[:1], masks[:1]))
    self.assertIsNotNone(empty_studio.find(photos[:2], masks[:2]))

  def test_a_moved_camera_and_another_light_are_noticed(self):
    studio, photos, masks = turntable()
    moved = [np.roll(photos[1], 2, axis=1), photos[1] // 2 + 100]
    for other in moved:
      found = empty_studio.find([photos[0], other, *photos[2:]], masks)
      self.assertEqual(found.fits.tolist(), [True, False, *[True] * 4])
      known = found.count > 0
      np.testing.assert_array_equal(found.picture[known], studio[known])
      difference = empty_studio.difference(found, 1, other)
      self.assertFalse(difference.any())

  def test_photos_of_another_size_are_left_out(self):
    studio, photos, masks = turntable()
    photos[2], masks[2] = photos[2][:, 1:], masks[2][:, 1:]
    found = empty_studio.find(photos, masks)
    self.assertEqual(found.fits.tolist(), [True, True, False, *[True] * 3])
    known = found.count > 0
    np.testing.assert_array_equal(found.picture[known], studio[known])
    difference = empty_studio.difference(found, 2, photos[2])
    self.assertEqual(difference.shape, (60, 89, 4))
    self.assertFalse(difference.any())

  def test_plain_walls(self):
    photos = [np.full((30, 40, 3), level, np.uint8) for level in (90, 92, 91)]
    masks = [np.zeros((30, 40), np.uint8)] * 3
    self.assertTrue(empty_studio.find(photos, masks).fits.all())
    # In front of stripes a plain wall is another one.
    striped = [photo.copy() for photo in photos]
    for photo in striped[:2]:
      photo[:, ::4] += 6
    found = empty_studio.find(striped, masks)
    self.assertEqual(found.fits.tolist(), [True, True, False])

  def test_views_of_several_studios_show_none(self):
    photos = [turntable(seed=seed)[1][seed] for seed in range(4)]
    masks = turntable()[2][:4]
    self.assertIsNone(empty_studio.find(photos, masks))


class DifferenceTest(absltest.TestCase):
  def test_by_hand(self):
    # Two views of a pixel, then one, then none, then two that differ a lot.
    photos = np.uint8([[10, 20, 30, 0], [14, 0, 0, 255]])
    photos = np.repeat(photos[:, None, :, None], 3, axis=3)
    covered = np.array([[[0, 0, 1, 0]], [[0, 1, 1, 0]]], bool)
    studio = empty_studio.EmptyStudio(
      *empty_studio.empty_studio(photos, covered), covered, np.ones(2, bool)
    )
    found = empty_studio.difference(studio, 0, photos[0])
    # The second pixel is seen by the view itself alone.
    self.assertEqual(found[0, :, 0].tolist(), [126, 0, 0, 1])
    self.assertEqual(found[0, :, 3].tolist(), [17, 0, 0, 17])
    found = empty_studio.difference(studio, 1, photos[1])
    self.assertEqual(found[0, :, 1].tolist(), [130, 108, 0, 255])
    self.assertEqual(found[0, :, 3].tolist(), [17, 17, 0, 17])

  def test_more_views_than_can_be_told(self):
    count = np.full((1, 1), 31)
    studio = empty_studio.EmptyStudio(
      np.zeros((1, 1, 3), np.uint8),
      count,
      np.zeros((31, 1, 1), bool),
      np.ones(31, bool),
    )
    found = empty_studio.difference(studio, 0, np.zeros((1, 1, 3), np.uint8))
    self.assertEqual(found.ravel().tolist(), [128, 128, 128, 255])

  def test_a_part_is_that_of_the_whole(self):
    _, photos, masks = turntable()
    found = empty_studio.find(photos, masks)
    part = slice(10, 50), slice(3, 40)
    np.testing.assert_array_equal(
      empty_studio.difference(found, 2, photos[2], part),
      empty_studio.difference(found, 2, photos[2])[part],
    )

  def test_no_studio(self):
    found = empty_studio.difference(None, 0, np.ones((2, 3, 3), np.uint8))
    self.assertEqual(found.shape, (2, 3, 4))
    self.assertFalse(found.any())


if __name__ == '__main__':
  absltest.main()
