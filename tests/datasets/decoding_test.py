"""Pixels of all kinds of files, compared with ones worked out by hand."""

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pillow_heif
from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets import decoding, images
from tests.helpers import photo_files

pillow_heif.register_heif_opener()  # which writes them, too

# [[1, 2, 3], [4, 5, 6]] as stored under each value of Exif's orientation.
STORED = {
  1: [[1, 2, 3], [4, 5, 6]],
  2: [[3, 2, 1], [6, 5, 4]],
  3: [[6, 5, 4], [3, 2, 1]],
  4: [[4, 5, 6], [1, 2, 3]],
  5: [[1, 4], [2, 5], [3, 6]],
  6: [[3, 6], [2, 5], [1, 4]],
  7: [[6, 3], [5, 2], [4, 1]],
  8: [[4, 1], [5, 2], [6, 3]],
}


def encode(pixels, kind, mode=None, **options):
  """Bytes of a file with the pixels; `mode` is Pillow's, if not guessed."""
  image = Image.fromarray(np.asarray(pixels, np.uint8), mode)
  return photo_files.encode(image, kind, **options)


def turned(orientation):
  exif = Image.Exif()
  exif[274] = orientation
  return exif


def noise(height=48, width=64):
  """Colours in blocks, which JPG keeps apart."""
  rng = np.random.default_rng(0)
  small = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
  return np.kron(small, np.ones((8, 8, 1), np.uint8))


def png_header(height, width):
  """A PNG that declares a size, but has no pixels."""
  ihdr = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  chunk = struct.pack('>I', 13) + ihdr + struct.pack('>I', zlib.crc32(ihdr))
  return b'\x89PNG\r\n\x1a\n' + chunk + struct.pack('>I', 0) + b'IDAT'


def every_format():
  """The kinds of files that the decoder treats differently."""
  pixels = noise()
  deep = cv2.imencode('.png', pixels.astype(np.uint16) * 257)[1].tobytes()
  return {
    'baseline': encode(pixels, 'JPEG'),
    'progressive': encode(pixels, 'JPEG', progressive=True),
    'grey': encode(pixels[..., 0], 'JPEG'),
    'inks': encode(np.dstack([pixels, pixels[..., :1]]), 'JPEG', 'CMYK'),
    'png': encode(pixels, 'PNG'),
    'deep': deep,
    'lossy': encode(pixels, 'WEBP'),
    'lossless': encode(pixels, 'WEBP', lossless=True),
    'tiff': encode(pixels, 'TIFF'),
    'lzw': encode(pixels, 'TIFF', compression='tiff_lzw'),
    'deep tiff': cv2.imencode('.tiff', pixels.astype(np.uint16) * 257)[
      1
    ].tobytes(),
    'bmp': encode(pixels, 'BMP'),
    'avif': encode(pixels, 'AVIF'),
    'heic': encode(pixels, 'HEIF'),
  }


class DecodeTest(parameterized.TestCase):
  def check(self, data, expected):
    """Compares with grey levels [H, W] or colours [H, W, 3]."""
    expected = np.asarray(expected)
    if expected.ndim == 2:
      expected = np.repeat(expected[..., None], 3, axis=2)
    decoded = decoding.decode(data)
    self.assertEqual(decoded.dtype, np.uint8)
    np.testing.assert_array_equal(decoded, expected)

  @parameterized.parameters('JPEG', 'PNG', 'WEBP')
  def test_as_other_decoders_do(self, kind):
    data = encode(noise(), kind)
    with Image.open(io.BytesIO(data)) as image:
      self.check(data, np.asarray(image))
    self.check(data, images.decode_photo(data))

  @parameterized.product(
    orientation=tuple(STORED), kind=[('PNG', {}), ('WEBP', {'lossless': True})]
  )
  def test_upright(self, orientation, kind):
    stored = 40 * np.repeat(np.array(STORED[orientation])[..., None], 3, 2)
    kind, options = kind
    data = encode(stored, kind, exif=turned(orientation), **options)
    self.check(data, [[40, 80, 120], [160, 200, 240]])

  @parameterized.parameters(*STORED)
  def test_upright_jpg(self, orientation):
    stored = np.kron(STORED[orientation], 40 * np.ones((16, 16)))
    data = encode(stored, 'JPEG', quality=100, exif=turned(orientation))
    upright = np.kron(STORED[1], 40 * np.ones((16, 16)))
    decoded = decoding.decode(data)
    self.assertEqual(decoded.shape, (32, 48, 3))
    np.testing.assert_allclose(decoded[..., 1], upright, atol=2)

  def test_upright_one_pixel_wide(self):
    stored = np.full((1, 3, 3), [[[10], [20], [30]]])
    self.check(encode(stored, 'PNG', exif=turned(6)), [[10], [20], [30]])
    self.check(encode(stored, 'PNG', exif=turned(8)), [[30], [20], [10]])

  @parameterized.parameters(0, 9)
  def test_orientation_of_no_meaning(self, orientation):
    data = encode([[10, 20]], 'PNG', exif=turned(orientation))
    self.check(data, [[10, 20]])

  def test_damaged_exif_does_not_matter(self):
    pixels = noise()
    data = encode(pixels, 'WEBP', lossless=True, exif=b'Exif\0\0nonsense')
    self.check(data, pixels)

  @parameterized.parameters('JPEG', 'PNG', 'WEBP')
  def test_single_pixel(self, kind):
    self.check(encode(np.full((1, 1, 3), 255), kind), [[255]])

  def test_grey(self):
    self.check(encode([[0, 77, 255]], 'PNG'), [[0, 77, 255]])
    self.check(encode(np.full((8, 16), 77), 'JPEG'), np.full((8, 16), 77))

  def test_palette(self):
    image = Image.new('P', (2, 1))
    image.putpalette([9, 8, 7, 200, 100, 50])
    image.putpixel((1, 0), 1)
    for options, first in (({}, [9, 8, 7]), ({'transparency': 0}, [255] * 3)):
      stream = io.BytesIO()
      image.save(stream, 'PNG', **options)
      self.check(stream.getvalue(), [[first, [200, 100, 50]]])

  def test_black_and_white(self):
    stream = io.BytesIO()
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert('1').save(
      stream, 'PNG'
    )
    self.check(stream.getvalue(), [[0, 255]])

  @parameterized.parameters(
    ('PNG', {}), ('WEBP', {'lossless': True, 'exact': 1})
  )
  def test_transparency_is_white(self, kind, options):
    pixels = [[[255, 0, 0, 0], [10, 20, 30, 255], [0, 100, 200, 51]]]
    # A fifth of the colour and four of white.
    expected = [[[255] * 3, [10, 20, 30], [204, 224, 244]]]
    self.check(encode(pixels, kind, **options), expected)

  def test_grey_transparency_is_white(self):
    data = encode([[[0, 0], [9, 255], [100, 51]]], 'PNG', 'LA')
    self.check(data, [[255, 9, 224]])

  def test_one_colour_is_transparent(self):
    data = encode([[[1, 2, 3], [3, 2, 1]]], 'PNG', transparency=(1, 2, 3))
    self.check(data, [[[255, 255, 255], [3, 2, 1]]])

  def test_16_bits_of_grey(self):
    values = np.array([[0, 128, 129, 257, 65406, 65407, 65535]], np.uint16)
    data = cv2.imencode('.png', values)[1].tobytes()
    self.check(data, [[0, 0, 1, 1, 254, 255, 255]])

  def test_16_bits_of_colours(self):
    blue_green_red = np.array([[[257, 129, 65407]]], np.uint16)
    data = cv2.imencode('.png', blue_green_red)[1].tobytes()
    self.check(data, [[[255, 1, 1]]])

  def test_16_bits_and_transparency(self):
    pixels = np.array([[[30, 20, 10, 255], [9, 9, 9, 0]]], np.uint16) * 257
    data = cv2.imencode('.png', pixels)[1].tobytes()
    self.check(data, [[[10, 20, 30], [255, 255, 255]]])

  def test_inks(self):
    # Cyan, magenta, yellow, black: red, and a mean grey.
    ink = np.zeros((16, 32, 4), np.uint8)
    ink[:, :16] = [0, 255, 255, 0]
    ink[:, 16:] = [0, 0, 0, 128]
    expected = np.full((16, 32, 3), 127)
    expected[:, :16] = [255, 0, 0]
    adobe = encode(ink, 'JPEG', 'CMYK', quality=100)
    # Without the marker, ink is stored as it is; Pillow only writes Adobe's.
    start = adobe.index(b'\xff\xee')
    marked = encode(255 - ink, 'JPEG', 'CMYK', quality=100)
    plain = marked[:start] + marked[start + 16 :]
    self.assertEqual(adobe[start + 4 : start + 9], b'Adobe')
    for data in (adobe, plain):
      np.testing.assert_allclose(decoding.decode(data), expected, atol=2)

  def test_first_frame_of_an_animation(self):
    frames = [Image.new('RGB', (4, 2), (level,) * 3) for level in (50, 200)]
    for kind in ('WEBP', 'PNG', 'MPO'):  # MPO: as phones write two JPGs
      stream = io.BytesIO()
      options = {'lossless': True} if kind == 'WEBP' else {}
      frames[0].save(
        stream, kind, save_all=True, append_images=frames[1:], **options
      )
      self.check(stream.getvalue(), np.full((2, 4), 50))

  @parameterized.parameters(*every_format())
  def test_truncated(self, name):
    data = every_format()[name]
    # The last bytes of some hold no pixels.
    end = len(data) - {'png': 30, 'deep': 30}.get(name, 1)
    for size in np.linspace(len(data) // 2, end, 9).astype(int):
      with self.assertRaisesRegex(ValueError, '^is damaged'):
        decoding.decode(data[:size])

  @parameterized.parameters('baseline', 'progressive', 'inks', 'png', 'deep')
  def test_end_was_never_written(self, name):
    data = every_format()[name]
    half = len(data) // 2
    with self.assertRaisesRegex(ValueError, '^is damaged$'):
      decoding.decode(data[:half] + bytes(len(data) - half))

  @parameterized.parameters(
    b'', b'no image', b'<html>', b'\xff\xd8\xff', encode([[1]], 'GIF')
  )
  def test_no_photo(self, data):
    with self.assertRaisesRegex(ValueError, '^is no JPG, PNG, .* image$'):
      decoding.decode(data)

  @parameterized.parameters(15_000, 40_000)
  def test_bomb(self, side):
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # Pillow's, of the same thing
      with self.assertRaisesRegex(ValueError, 'more than 200 megapixels'):
        decoding.decode(png_header(side, side))

  def test_lines(self):
    for size in ((1, 65_501), (49_000_000, 1)):
      with self.assertRaisesRegex(ValueError, 'more than 65500 pixels a side'):
        decoding.decode(png_header(*size))
    image = decoding._open(png_header(1, 65_500))
    self.assertEqual(image.size, (65_500, 1))

  def test_largest_phones_are_no_bomb(self):
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      image = decoding._open(png_header(9000, 12_000))
    self.assertEqual(image.size, (12_000, 9000))

  def test_damaged_header(self):
    data = encode(noise(), 'JPEG')
    with self.assertRaisesRegex(ValueError, '^is damaged$'):
      decoding.decode(data[:100])
