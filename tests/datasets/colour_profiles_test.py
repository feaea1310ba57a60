"""Colours, compared with littleCMS, and with formulas of the standards."""

import io

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image, ImageCms

from carvana_jax.datasets import colour_profiles
from tests.helpers import photo_files
from tests.helpers.photo_files import SPACES, encode


def colours(seed=0, count=4096):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (16, count // 16, 3), np.uint8)


def by_littlecms(image, profile):
  return np.asarray(
    ImageCms.profileToProfile(
      image,
      ImageCms.ImageCmsProfile(io.BytesIO(profile)),
      ImageCms.createProfile('sRGB'),
      outputMode='RGB',
    )
  )


def opened(data):
  return Image.open(io.BytesIO(data))


class ToSrgbTest(parameterized.TestCase):
  def converted(self, pixels, profile, mode=None):
    image = pixels
    if not isinstance(pixels, Image.Image):
      image = Image.fromarray(np.asarray(pixels, np.uint8), mode)
    found = colour_profiles.to_srgb(image, profile)
    self.assertEqual((found.mode, found.size), ('RGB', image.size))
    return np.asarray(found)

  @parameterized.parameters(*SPACES)
  def test_colours(self, name):
    space, stored = SPACES[name], colours()
    profile = photo_files.rgb_profile(*space)
    found = self.converted(stored, profile)
    expected = by_littlecms(Image.fromarray(stored), profile)
    np.testing.assert_array_equal(found, expected)
    by_hand = photo_files.to_srgb(stored / 255, *space)
    np.testing.assert_allclose(found, by_hand, atol=2)
    # Another space than sRGB indeed.
    self.assertGreater(np.abs(found - by_hand[::-1]).max(), 50)
    self.assertGreater(np.abs(found.astype(int) - stored).max(), 20)

  def test_srgb_keeps_its_bits(self):
    stored = colours()
    for profile in (
      None,
      colour_profiles.srgb(),
      photo_files.rgb_profile(photo_files.SRGB, None),
    ):
      np.testing.assert_array_equal(self.converted(stored, profile), stored)

  @parameterized.parameters(1.0, 1.8, 2.2)
  def test_grey(self, gamma):
    stored = np.arange(256, dtype=np.uint8)[None]
    found = self.converted(stored, photo_files.grey_profile(gamma))
    expected = 255 * photo_files.srgb_curve((stored / 255) ** gamma)
    for channel in range(3):
      np.testing.assert_allclose(found[..., channel], expected, atol=0.6)

  def test_grey_of_coloured_profile(self):
    space = SPACES['prophoto']
    stored = np.arange(256, dtype=np.uint8)[None]
    found = self.converted(stored, photo_files.rgb_profile(*space))
    same = np.repeat(stored[..., None], 3, 2) / 255
    by_hand = photo_files.to_srgb(same, *space)
    np.testing.assert_allclose(found, by_hand, atol=2)

  def test_inks(self):
    profile = photo_files.ink_profile()
    inks = np.random.default_rng(0).integers(0, 256, (16, 64, 4), np.uint8)
    inks[0, :2] = [[0, 0, 0, 0], [255, 0, 0, 0]]
    image = Image.fromarray(inks, 'CMYK')
    found = self.converted(image, profile)
    np.testing.assert_array_equal(found, by_littlecms(image, profile))
    # White paper, and L*a*b* of 65, -30, -40, by the formulas of CIE.
    self.assertEqual(len(set(found[0, 0].tolist())), 1)
    np.testing.assert_allclose(found[0, 1], [0, 174, 226], atol=4)

  def test_lab(self):
    # Lightness 50 is 18.4 % of the light; a and b are 0 at Pillow's 128.
    image = Image.merge(
      'LAB', [Image.new('L', (2, 1), x) for x in (128, 128, 128)]
    )
    found = self.converted(image, None)
    np.testing.assert_allclose(found, np.full((1, 2, 3), 119), atol=1)

  @parameterized.parameters(
    ('L', photo_files.ink_profile()),
    ('RGB', photo_files.grey_profile(1.0)),
    ('RGB', photo_files.ink_profile()),
    ('RGB', b'no profile'),
    ('RGB', photo_files.rgb_profile(*SPACES['adobe'])[:200]),
    ('CMYK', photo_files.rgb_profile(*SPACES['adobe'])),
  )
  def test_profile_of_no_use_is_ignored(self, mode, profile):
    image = Image.fromarray(colours()).convert(mode)
    expected = np.asarray(image.convert('RGB'))
    np.testing.assert_array_equal(self.converted(image, profile), expected)


class DeepTest(parameterized.TestCase):
  @parameterized.parameters(*SPACES)
  def test_colours(self, name):
    space, expected = SPACES[name], colours(1)
    expected[:4] //= 8  # shadows, where 8 bits are not enough
    stored = photo_files.from_srgb(expected, *space)
    profile = photo_files.rgb_profile(*space)
    deep = np.rint(65535 * stored).astype(np.uint16)
    found = colour_profiles.deep_to_srgb(deep, profile)
    self.assertEqual(found.dtype, np.uint8)
    error = np.abs(found.astype(int) - expected)
    self.assertLessEqual(error.max(), 1)
    if name == 'prophoto':
      shallow = Image.fromarray(np.rint(255 * stored).astype(np.uint8))
      converted = np.asarray(colour_profiles.to_srgb(shallow, profile))
      self.assertGreater(np.abs(converted.astype(int) - expected).max(), 3)

  def test_many_rows(self):
    deep = np.arange(600 * 3, dtype=np.uint16).reshape(600, 1, 3) * 36
    profile = photo_files.rgb_profile(*SPACES['adobe'])
    found = colour_profiles.deep_to_srgb(deep, profile)
    by_hand = photo_files.to_srgb(deep / 65535, *SPACES['adobe'])
    np.testing.assert_allclose(found, by_hand, atol=2)

  @parameterized.parameters((None, None), (photo_files.grey_profile(1.0), 1.0))
  def test_grey(self, profile, gamma):
    values = np.array([[0, 128, 129, 257, 20000, 65406, 65407, 65535]])
    found = colour_profiles.deep_to_srgb(values.astype(np.uint16), profile)
    expected = np.rint(values / 257)
    if gamma:
      expected = 255 * photo_files.srgb_curve((values / 65535) ** gamma)
    self.assertEqual(found.shape, (1, 8, 3))
    np.testing.assert_allclose(found[..., 0], expected, atol=0.6)
    np.testing.assert_array_equal(found[..., 0], found[..., 2])

  def test_rounds(self):
    deep = np.array([[[128, 129, 65407]]], np.uint16)
    for profile in (None, colour_profiles.srgb(), b'nonsense'):
      found = colour_profiles.deep_to_srgb(deep, profile)
      np.testing.assert_array_equal(found, [[[0, 1, 255]]])


class OfTest(parameterized.TestCase):
  def test_icc(self):
    profile = photo_files.rgb_profile(*SPACES['p3'])
    for kind in ('JPEG', 'PNG', 'WEBP', 'TIFF', 'AVIF'):
      data = encode(Image.new('RGB', (9, 9)), kind, icc_profile=profile)
      self.assertEqual(colour_profiles.of(opened(data)), profile, kind)

  def png(self, *chunks):
    """An image as Pillow opens it, with chunks (name, numbers)."""
    image = opened(encode(Image.new('RGB', (9, 9)), 'PNG'))
    image.load()
    image.info.update(chunks)
    return image

  @parameterized.parameters(
    [()],
    [[('gamma', 0.45455)]],
    [[('gamma', 0.45455), ('chromaticity', colour_profiles._SRGB)]],
    [[('gamma', 1.0), ('srgb', 0)]],
    [[('gamma', 0.0)]],
    [[('chromaticity', (0,) * 8)]],
    [[('chromaticity', (0.3, 0.3) * 4)]],
  )
  def test_png_in_srgb(self, chunks):
    self.assertIsNone(colour_profiles.of(self.png(*chunks)))

  def test_png_of_linear_light(self):
    profile = colour_profiles.of(self.png(('gamma', 1.0)))
    stored = colours()
    found = colour_profiles.to_srgb(Image.fromarray(stored), profile)
    expected = 255 * photo_files.srgb_curve(stored / 255)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1)

  def test_png_of_other_primaries(self):
    # Display P3's, and white D65, of SMPTE EG 432-1.
    primaries = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    chunks = ('gamma', 1 / 1.8), ('chromaticity', primaries)
    profile = colour_profiles.of(self.png(*chunks))
    stored = colours()
    found = colour_profiles.to_srgb(Image.fromarray(stored), profile)
    expected = photo_files.to_srgb(stored / 255, photo_files.P3, 1.8)
    np.testing.assert_allclose(np.asarray(found), expected, atol=2)

  @parameterized.parameters(
    (0xFFFF, 'R03', True), (0xFFFF, 'R98', False), (1, 'R03', False),
    (0xFFFF, None, False),
  )  # fmt: skip
  def test_cameras_that_are_set_to_adobe_rgb(self, space, kind, is_adobe):
    exif = Image.Exif()
    exif[0x8769] = {0xA001: space}
    if kind:
      exif[0x8769][0xA005] = {1: kind}
    data = encode(Image.new('RGB', (9, 9)), 'JPEG', exif=exif)
    profile = colour_profiles.of(opened(data))
    if not is_adobe:
      self.assertIsNone(profile)
      return
    stored = colours()
    found = colour_profiles.to_srgb(Image.fromarray(stored), profile)
    expected = photo_files.to_srgb(stored / 255, *SPACES['adobe'])
    np.testing.assert_allclose(np.asarray(found), expected, atol=2)

  def test_damaged_exif(self):
    data = encode(Image.new('RGB', (9, 9)), 'JPEG', exif=b'Exif\0\0nonsense')
    self.assertIsNone(colour_profiles.of(opened(data)))

  def test_profile_for_outputs(self):
    self.assertEqual(colour_profiles.srgb(), colour_profiles.srgb())
    profile = ImageCms.ImageCmsProfile(io.BytesIO(colour_profiles.srgb()))
    self.assertIn('sRGB', ImageCms.getProfileDescription(profile))
    self.assertLess(len(colour_profiles.srgb()), 1000)


if __name__ == '__main__':
  absltest.main()
