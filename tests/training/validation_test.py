"""Sample pictures of a network, whatever it predicts."""

import warnings
from unittest import mock

import chex
import numpy as np

from carvana_jax.training import sample_pictures, validation


class PicturesTest(chex.TestCase):
  """Of a batch of eight photos, whose pixels hold their number."""

  def pictures(self, predict):
    """What the strips are made of, and the strips."""
    count = 8
    made = object.__new__(validation.Validation)
    numbers = np.arange(count, dtype=np.uint8)[:, None, None]
    mask = np.zeros((count, 2, 3), np.uint8)
    mask[:, 0] = 255
    batch = {
      'image': numbers[..., None] * np.ones((1, 2, 3, 6), np.uint8),
      'mask': mask,
      'weight': np.float32([1, 1, 1, 1, 1, 1, 1, 0]),  # one of padding
    }
    made._batches = lambda: [batch]
    made._files = lambda: [f'{i}.jpg' for i in range(7)]
    made._threshold = 0.5
    made._predict = lambda _, batch: predict(batch['mask'].shape)
    strip = mock.Mock(wraps=sample_pictures.strip)
    with (
      warnings.catch_warnings(),
      mock.patch.object(sample_pictures, 'strip', strip),
    ):
      warnings.simplefilter('error')
      strips = made.pictures(None, 'epoch 5, step 9')
    return [call.args for call in strip.call_args_list], strips

  def test_of_a_network_that_predicts_nan(self):
    parts, strips = self.pictures(lambda shape: np.full(shape, np.nan))
    self.assertLen(strips, 4)
    for photo, i in zip(parts, (0, 2, 4, 6), strict=True):
      image, target, predicted, title = photo
      np.testing.assert_array_equal(image, np.full((2, 3, 3), i))
      np.testing.assert_array_equal(target, [[255] * 3, [0] * 3])
      np.testing.assert_array_equal(predicted, np.zeros((2, 3)))
      self.assertEqual(title, f'epoch 5, step 9, Dice 0.00000: {i}.jpg')

  def test_dice_of_each(self):
    # One pixel of three is found, and another one of the background.
    row = np.float32([[0.5, 0.4, 0.4], [0.1, 0.1, 0.9]])
    parts, _ = self.pictures(lambda shape: np.broadcast_to(row, shape))
    self.assertIn(', Dice 0.40000: ', parts[0][3])
    np.testing.assert_array_equal(parts[0][2], [[128, 102, 102], [26, 26, 230]])


class StripTest(chex.TestCase):
  def test_pictures_below_their_titles(self):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (64, 96, 3), np.uint8)
    target, predicted = rng.integers(0, 256, (2, 64, 96), np.uint8)
    made = sample_pictures.strip(photo, target, predicted, 'epoch 5: 1.jpg')
    # 96 pixels are doubled, so that titles can be read.
    head = made.shape[0] - 2 * 64
    self.assertEqual(made.shape[1:], (2 * 3 * 96, 3))
    found = np.split(made[head::2, ::2], 3, axis=1)
    np.testing.assert_array_equal(found[0], photo)
    np.testing.assert_array_equal(found[1], target[..., None].repeat(3, 2))
    np.testing.assert_array_equal(found[2], predicted[..., None].repeat(3, 2))
    titles = made[: head // 2], *np.split(made[head // 2 : head], 3, axis=1)
    for title in titles:
      self.assertBetween((title < 128).mean(), 0.005, 0.2)
    other = sample_pictures.strip(photo, target, predicted, 'epoch 6: 1.jpg')
    differing = (made != other).any((1, 2))
    self.assertTrue(differing[: head // 2].any())
    self.assertFalse(differing[head // 2 :].any())

  def test_a_long_title_is_cut_off(self):
    pictures = np.zeros((512, 768, 3), np.uint8), *np.zeros((2, 512, 768))
    pictures = [picture.astype(np.uint8) for picture in pictures]
    made = sample_pictures.strip(*pictures, 100 * 'name')
    self.assertEqual(made.shape, sample_pictures.strip(*pictures, '').shape)
