"""Files of other colours than sRGB, compared with formulas."""

import struct
import zlib

import cv2
import numpy as np
from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets import decoding, images
from tests.datasets.decoding_test import encode, noise, turned
from tests.helpers import photo_files
from tests.helpers.photo_files import tiff


class ColourTest(parameterized.TestCase):
  """Files of other colours than sRGB."""

  profile = photo_files.rgb_profile(*photo_files.SPACES['prophoto'])

  def expected(self, pixels):
    """Levels of sRGB by hand, of uint8 or uint16."""
    values = pixels / np.iinfo(pixels.dtype).max
    return photo_files.to_srgb(values, *photo_files.SPACES['prophoto'])

  def check(self, data, expected, atol=2):
    np.testing.assert_allclose(decoding.decode(data), expected, atol=atol)

  @parameterized.parameters('PNG', 'TIFF', 'WEBP')
  def test_without_loss(self, kind):
    pixels = noise()
    options = {'lossless': True} if kind == 'WEBP' else {}
    data = encode(pixels, kind, icc_profile=self.profile, **options)
    self.check(data, self.expected(pixels))

  @parameterized.parameters('JPEG', 'AVIF', 'HEIF', 'WEBP')
  def test_with_loss(self, kind):
    pixels = noise()
    tagged = encode(pixels, kind, icc_profile=self.profile)
    plain = decoding.decode(encode(pixels, kind))
    self.check(tagged, self.expected(plain))
    self.assertGreater(np.abs(self.expected(plain) - plain).max(), 20)

  def test_upright_jpg(self):
    pixels = noise()
    data = encode(
      pixels, 'JPEG', icc_profile=self.profile, exif=turned(6), quality=100
    )
    plain = decoding.decode(encode(pixels, 'JPEG', quality=100))
    self.check(data, np.rot90(self.expected(plain), -1))

  def test_training_sees_the_same(self):
    data = encode(noise(), 'JPEG', icc_profile=self.profile)
    np.testing.assert_array_equal(
      decoding.decode(data), images.decode_photo(data)
    )

  def test_grey_jpg(self):
    profile = photo_files.grey_profile(1.0)
    data = encode(np.full((8, 8), 64), 'JPEG', icc_profile=profile)
    expected = 255 * photo_files.srgb_curve(64 / 255)
    self.check(data, np.full((8, 8, 3), expected))

  def test_inks(self):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255
    profile = photo_files.ink_profile()
    for kind in ('JPEG', 'TIFF'):
      data = encode(ink, kind, 'CMYK', icc_profile=profile)
      # Dull cyan; without a profile it is 0, 255, 255.
      self.check(data, np.full((16, 16, 3), [0, 174, 226]), atol=4)

  def test_opacity_is_no_colour(self):
    pixels = np.full((2, 3, 4), [200, 100, 50, 51], np.uint8)
    colour = self.expected(pixels[..., :3])
    for kind in ('PNG', 'TIFF'):
      data = encode(pixels, kind, icc_profile=self.profile)
      self.check(data, 0.2 * colour + 0.8 * 255)

  def test_palette(self):
    image = Image.new('P', (2, 1))
    image.putpalette([200, 100, 50])
    data = photo_files.encode(image, 'PNG', icc_profile=self.profile)
    pixels = np.full((1, 2, 3), [200, 100, 50], np.uint8)
    self.check(data, self.expected(pixels))

  @parameterized.parameters('<', '>')
  def test_16_bits(self, order):
    wanted = noise() // 4  # shadows
    stored = photo_files.from_srgb(wanted, *photo_files.SPACES['prophoto'])
    deep = np.rint(65535 * stored).astype(np.uint16)
    self.check(tiff(deep, 2, order, icc=self.profile), wanted, atol=1)
    opaque = np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])
    data = tiff(opaque, 2, order, icc=self.profile, opacity=2)
    self.check(data, wanted, atol=1)
    png = cv2.imencode('.png', deep[..., ::-1])[1].tobytes()
    chunk = b'iCCPx\0\0' + zlib.compress(self.profile)
    size, check = len(chunk) - 4, zlib.crc32(chunk)
    chunk = struct.pack('>I', size) + chunk + struct.pack('>I', check)
    self.check(png[:33] + chunk + png[33:], wanted, atol=1)
