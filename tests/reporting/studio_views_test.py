"""The empty studio in words and as pictures, counted by hand."""

import numpy as np
from absl.testing import absltest

from carvana_jax.datasets import empty_studio
from carvana_jax.reporting import studio_views

HIGH, WIDE = 40, 80


def turn(count=4, moved=()):
  """Photos and masks of an object, 10x10, before a wall of bars."""
  wall = np.full((HIGH, WIDE, 3), 200, np.uint8)
  wall[:, ::8] = wall[:, 1::8] = 90
  photos, masks = [], []
  for view in range(count):
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[15:25, 5 + 15 * view : 15 + 15 * view] = 255
    photo = np.roll(wall, 4 * (view in moved), axis=1)
    photos.append(np.where(mask[..., None], np.uint8(30), photo))
    masks.append(mask)
  return photos, masks


def said(photos, masks, factor=1.0):
  studio = empty_studio.find(photos, masks)
  numbers = range(1, len(photos) + 1)
  return studio_views.sentences(studio, photos, masks, numbers, factor)


class SentencesTest(absltest.TestCase):
  def test_all_views_agree(self):
    (text,) = said(*turn())
    self.assertStartsWith(text, '4 of 4 views show the same empty studio. ')
    self.assertIn('is known for 100.0% of the frame, and, from other v', text)
    self.assertIn('for 100.0% of what is within 16 pixels of the bor', text)
    self.assertEndsWith(text, 'differ by 0.0 levels of 255 (median).')

  def test_what_no_other_view_shows(self):
    # Twice in one place: both hide the same 12x12 pixels but for the corners,
    # as a disc of one pixel is a cross.
    photos, masks = turn(1)
    (text,) = said(photos * 2, masks * 2)
    self.assertIn(f'known for {1 - 140 / (HIGH * WIDE):.1%} of the f', text)
    # Of two pixels on either side of the border the outermost is known: a
    # ring of 4 x 10 and what is round the corners.
    (near,) = said(photos * 2, masks * 2, factor=2 / 16)
    share = float(near.split(' for ')[-1].split('%')[0])
    self.assertBetween(share, 100 * 40 / 160, 100 * 56 / 160)

  def test_levels(self):
    photos, masks = turn()
    photos[1] = photos[1] + np.uint8(9)
    photos[2] = photos[2] + np.uint8(3)
    (text,) = said(photos[1:3], masks[1:3])
    # The studio is in the middle of the two.
    self.assertEndsWith(text, 'differ by 3.0 levels of 255 (median).')

  def test_some_views_differ(self):
    first, odd, needs = said(*turn(moved=(1,)))
    self.assertStartsWith(first, '3 of 4 views')
    self.assertStartsWith(odd, 'Another studio is shown by view 2: ')
    self.assertIn('8 views or more', needs)

  def test_no_two_agree(self):
    random = np.random.default_rng(0)
    _, masks = turn(3)
    photos = random.integers(0, 256, (3, HIGH, WIDE, 3)).astype(np.uint8)
    first, needs = said([*photos], masks)
    self.assertStartsWith(
      first, 'There is no empty studio: of the views 1, 2, 3 no two'
    )
    self.assertIn('the camera has to stand still', needs)


class PicturesTest(absltest.TestCase):
  def test_what_no_view_shows_is_a_checkerboard(self):
    photos, masks = turn(1)
    studio = empty_studio.find(photos * 2, masks * 2)
    drawn, shown = studio_views.pictures(studio).values()
    np.testing.assert_array_equal(drawn[:10], photos[0][:10])
    self.assertEqual(drawn[20, 8].tolist(), [190] * 3)
    self.assertEqual(drawn[15, 8].tolist(), [150] * 3)
    self.assertEqual((shown[20, 8, 0], shown[0, 0, 0]), (0, 255))


if __name__ == '__main__':
  absltest.main()
