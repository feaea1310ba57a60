"""Pictures as other programs read them."""

import io

import chex
import cv2
import numpy as np
from absl.testing import absltest
from PIL import Image, ImageCms

from carvana_jax.masks import encoding


def smooth(channels):
  """Noise without sharp edges, uint8 [32, 48, C]."""
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (32, 48, channels), np.uint8)
  return cv2.GaussianBlur(noise, (0, 0), 3)


def opened(data):
  return Image.open(io.BytesIO(data))


class EncodingTest(chex.TestCase):
  def assert_profile_of_srgb(self, data):
    profile = ImageCms.ImageCmsProfile(
      io.BytesIO(opened(data).info['icc_profile'])
    )
    image = Image.fromarray(smooth(3))
    converted = ImageCms.profileToProfile(
      image, profile, ImageCms.createProfile('sRGB')
    )
    chex.assert_trees_all_equal(np.asarray(converted), np.asarray(image))
    self.assertIn('sRGB', ImageCms.getProfileDescription(profile))

  def test_png_is_exact(self):
    picture = smooth(4)
    data = encoding.png(picture)
    image = opened(data)
    self.assertEqual((image.format, image.mode), ('PNG', 'RGBA'))
    chex.assert_trees_all_equal(np.asarray(image), picture)
    self.assertEqual(image.info['srgb'], 0)  # perceptual
    opened(data).verify()  # checksums
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
    chex.assert_trees_all_equal(decoded, expected)

  def test_webp_keeps_alpha(self):
    picture = smooth(4)
    data = encoding.webp(picture)
    image = opened(data)
    self.assertEqual((image.format, image.mode), ('WEBP', 'RGBA'))
    pixels = np.asarray(image)
    chex.assert_trees_all_equal(pixels[..., 3], picture[..., 3])
    self.assertLess(np.abs(pixels.astype(int) - picture).max(), 20)
    self.assert_profile_of_srgb(data)

  def test_jpeg(self):
    picture = smooth(3)
    data = encoding.jpeg(picture)
    image = opened(data)
    self.assertEqual((image.format, image.mode), ('JPEG', 'RGB'))
    self.assertEqual(image.info['jfif_version'], (1, 1))
    self.assertLess(np.abs(np.asarray(image).astype(int) - picture).max(), 20)
    self.assert_profile_of_srgb(data)

  def test_the_same_at_any_time(self):
    picture = smooth(3)
    before = encoding.jpeg(picture)
    encoding._profile.cache_clear()
    self.assertEqual(encoding.jpeg(picture), before)


if __name__ == '__main__':
  absltest.main()
