"""Pixels of all kinds of files, compared with ones worked out by hand."""

import io
import os
import struct
import tempfile
import warnings
import zlib
from unittest import mock

import cv2
import numpy as np
import pillow_heif
from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets import images
from carvana_jax.inference import decoding
from carvana_jax.system import image_libraries
from tests.helpers import photo_files
from tests.helpers.photo_files import tiff

pillow_heif.register_heif_opener()  # which writes them, too

# [[1, 2, 3], [4, 5, 6]] as stored under each value of Exif's orientation.
_STORED = {
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
    orientation=tuple(_STORED), kind=[('PNG', {}), ('WEBP', {'lossless': True})]
  )
  def test_upright(self, orientation, kind):
    stored = 40 * np.repeat(np.array(_STORED[orientation])[..., None], 3, 2)
    kind, options = kind
    data = encode(stored, kind, exif=turned(orientation), **options)
    self.check(data, [[40, 80, 120], [160, 200, 240]])

  @parameterized.parameters(*_STORED)
  def test_upright_jpg(self, orientation):
    stored = np.kron(_STORED[orientation], 40 * np.ones((16, 16)))
    data = encode(stored, 'JPEG', quality=100, exif=turned(orientation))
    upright = np.kron(_STORED[1], 40 * np.ones((16, 16)))
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

  def test_largest_phones_are_no_bomb(self):
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      image = decoding._open(png_header(9000, 12_000))
    self.assertEqual(image.size, (12_000, 9000))

  def test_damaged_header(self):
    data = encode(noise(), 'JPEG')
    with self.assertRaisesRegex(ValueError, '^is damaged$'):
      decoding.decode(data[:100])


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


class FormatsTest(parameterized.TestCase):
  """TIFF, BMP, AVIF and HEIC."""

  def check(self, data, expected, atol=0):
    expected = np.asarray(expected)
    if expected.ndim == 2:
      expected = np.repeat(expected[..., None], 3, axis=2)
    decoded = decoding.decode(data)
    self.assertEqual((decoded.dtype, decoded.shape), (np.uint8, expected.shape))
    np.testing.assert_allclose(decoded, expected, atol=atol)

  def test_endings(self):
    self.assertContainsSubset(
      {'.jpg', '.jfif', '.tif', '.tiff', '.bmp', '.avif'}, decoding.ENDINGS
    )
    known = {*decoding.ENDINGS, *decoding.LACKING}
    self.assertContainsSubset({'.heic', '.heif'}, known)
    self.assertEmpty(set(decoding.ENDINGS) & decoding.LACKING.keys())

  @parameterized.product(
    orientation=tuple(_STORED), dtype=(np.uint8, np.uint16)
  )
  def test_upright_tiff(self, orientation, dtype):
    scale = np.iinfo(dtype).max // 255
    grey = np.array(_STORED[orientation], dtype) * 40 * scale
    upright = [[40, 80, 120], [160, 200, 240]]
    self.check(tiff(grey, 1, orientation=orientation), upright)
    colours = np.repeat(grey[..., None], 3, 2)
    self.check(tiff(colours, 2, orientation=orientation), upright)

  @parameterized.product(orientation=tuple(_STORED), kind=('AVIF', 'HEIF'))
  def test_upright(self, orientation, kind):
    stored = np.kron(_STORED[orientation], 40 * np.ones((32, 32)))
    exif = turned(orientation).tobytes()  # makes them write boxes of turns, too
    data = encode(stored, kind, exif=exif, quality=95)
    upright = np.kron(_STORED[1], 40 * np.ones((32, 32)))
    self.check(data, upright, atol=8)

  @parameterized.parameters('<', '>')
  def test_tiff_of_any_order(self, order):
    deep = np.array([[[0, 128, 129], [257, 65406, 65407]]], np.uint16)
    self.check(tiff(deep, 2, order), [[[0, 0, 1], [1, 254, 255]]])
    self.check(tiff(deep[..., 0], 1, order), [[0, 1]])
    shallow = (deep // 257).astype(np.uint8)
    for planes in (1, 2):
      self.check(tiff(shallow, 2, order, planes=planes), shallow)

  def test_tiff_where_white_is_zero(self):
    self.check(tiff(np.array([[0, 200]], np.uint8), 0), [[255, 55]])
    self.check(tiff(np.array([[0, 51400]], np.uint16), 0), [[255, 55]])

  @parameterized.parameters(np.uint8, np.uint16)
  def test_tiff_with_opacity(self, dtype):
    scale = np.iinfo(dtype).max // 255
    stored = np.array([[[0, 100, 200, 51], [9, 8, 7, 255]]], dtype) * scale
    expected = [[[204, 224, 244], [9, 8, 7]]]
    self.check(tiff(stored, 2, opacity=2), expected)

  def test_tiff_of_lab(self):
    lab = np.array([[[128, 0, 0], [255, 0, 0]]], np.uint8)
    self.check(tiff(lab, 8), [[119, 255]], atol=1)

  def test_tiff_of_palette(self):
    reds = [257 * level for level in range(256)]
    colours = (320, 3, reds + [0] * 256 + reds)
    data = tiff(np.array([[0, 99]], np.uint8), 3, more=[colours])
    self.check(data, [[[0, 0, 0], [99, 0, 99]]])

  def test_tiff_of_inks(self):
    ink = np.array([[[0, 255, 255, 0], [0, 0, 0, 255]]], np.uint8)
    self.check(tiff(ink, 5), [[[255, 0, 0], [0, 0, 0]]])

  @parameterized.parameters(
    'tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'group4'
  )
  def test_compressed_tiff(self, compression):
    image = Image.fromarray(noise()[..., 0])
    if compression == 'group4':
      image = image.convert('1', dither=Image.Dither.NONE)
    data = photo_files.encode(image, 'TIFF', compression=compression)
    self.check(data, np.asarray(image.convert('L')))

  def test_jpeg_in_tiff(self):
    data = encode(noise(), 'TIFF', compression='jpeg', quality=100)
    self.check(data, noise(), atol=9)

  def test_first_page(self):
    first, second = Image.new('L', (3, 2), 7), Image.new('L', (9, 9), 8)
    data = photo_files.encode(
      first, 'TIFF', save_all=True, append_images=[second]
    )
    self.check(data, np.full((2, 3), 7))

  @parameterized.parameters(
    (tiff(np.ones((2, 2), np.float32), 1), 'has numbers of 32 bits'),
    (tiff(np.ones((2, 2), np.int16), 1), 'or with a sign'),
    (tiff(np.ones((2, 2), np.uint32), 1), 'has numbers of 32 bits'),
    (
      tiff(np.ones((2, 2, 3), np.float32), 2),
      'is damaged, or a TIFF of a rare',
    ),
    (tiff(np.ones((2, 2, 3), np.uint16), 2, planes=2), 'each colour by itself'),
  )
  def test_unusual_tiff(self, data, words):
    with self.assertRaisesRegex(ValueError, words):
      decoding.decode(data)

  def test_bmp(self):
    for mode in ('1', 'L', 'P', 'RGB'):
      image = Image.fromarray(noise()).convert(mode)
      self.check(
        photo_files.encode(image, 'BMP'), np.asarray(image.convert('RGB'))
      )

  def test_bmp_with_opacity(self):
    # A header of 108 bytes (version 4), whose masks tell where opacity is.
    header = struct.pack(
      '<IiiHHIIiiII4I', 108, 1, -1, 1, 32, 3, 4, 0, 0, 0, 0,
      0xFF0000, 0xFF00, 0xFF, 0xFF000000,
    ).ljust(108, b'\0')  # fmt: skip
    data = b'BM' + struct.pack('<IHHI', 126, 0, 0, 122) + header
    self.check(data + bytes([200, 100, 0, 51]), [[[204, 224, 244]]])
    # Of programs that write no opacity.
    self.check(data + bytes([200, 100, 0, 0]), [[[0, 100, 200]]])

  def test_runs_in_bmp(self):
    palette = b''.join(bytes([level] * 3 + [0]) for level in range(256))
    header = struct.pack('<IiiHHIIiiII', 40, 4, 2, 1, 8, 1, 12, 0, 0, 256, 0)
    # From below: four of 9 and the line's end; 1 and three of 2, and the end.
    runs = bytes([4, 9, 0, 0, 1, 1, 3, 2, 0, 0, 0, 1])
    start = 14 + len(header) + len(palette)
    data = b'BM' + struct.pack('<IHHI', start + len(runs), 0, 0, start)
    data += header + palette
    self.check(data + runs, [[1, 2, 2, 2], [9, 9, 9, 9]])
    with self.assertRaisesRegex(ValueError, '^is damaged$'):
      decoding.decode(data + runs[:5])

  def test_heic_without_its_package(self):
    decoding._register_heic.cache_clear()
    self.enterContext(mock.patch.object(decoding, '_HAS_HEIC', False))
    with self.assertRaisesRegex(ValueError, 'HEIC .* pip install pillow-heif'):
      decoding.decode(encode(noise(), 'HEIF'))

  @parameterized.parameters('AVIF', 'HEIF')
  def test_single_pixel(self, kind):
    decoded = decoding.decode(encode(np.full((1, 1, 3), 255), kind))
    np.testing.assert_allclose(decoded, [[[255, 255, 255]]], atol=2)

  def test_large_tiff_is_no_bomb(self):
    # As if Pillow's limit were 6 pixels: it warns of more, and refuses 12.
    data = tiff(np.full((5, 3), 7, np.uint8), 1)
    self.enterContext(mock.patch.object(Image, 'MAX_IMAGE_PIXELS', 6))
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      self.check(data, np.full((5, 3), 7))

  def test_bombs(self):
    large = bytearray(encode([[1]], 'BMP'))
    large[18:26] = struct.pack('<ii', 40_000, 40_000)
    many = bytearray(tiff(np.zeros((1, 1), np.uint8), 1))
    for tag in (256, 257):
      place = many.index(struct.pack('<HHI', tag, 4, 1))
      many[place + 8 : place + 12] = struct.pack('<I', 40_000)
    for data in (large, many):
      with self.assertRaisesRegex(ValueError, 'more than 200 megapixels'):
        decoding.decode(bytes(data))


class ComplaintsTest(parameterized.TestCase):
  """What decoders print of wrong bytes is told, and nothing is printed."""

  def setUp(self):
    super().setUp()
    image_libraries.configure()
    # What C prints, too.
    self.printed = self.enterContext(tempfile.TemporaryFile())
    before = os.dup(2)
    os.dup2(self.printed.fileno(), 2)
    self.addCleanup(os.close, before)
    self.addCleanup(os.dup2, before, 2)

  def decode(self, data):
    complaints = []
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      warnings.filterwarnings('ignore', module=r'PIL\.')  # as `configure`
      try:
        self.decoded = decoding.decode(data, complaints.append)
      finally:
        self.printed.seek(0)
        self.assertEqual(self.printed.read(), b'')
    return complaints

  @parameterized.parameters(
    {}, {'progressive': True}, {'mode': 'L'}, {'mode': 'CMYK'}
  )
  def test_garbled_jpg(self, mode='RGB', **options):
    image = Image.fromarray(np.kron(noise(), np.ones((4, 4, 1), np.uint8)))
    data = photo_files.encode(image.convert(mode), 'JPEG', **options)
    self.assertEqual(self.decode(data), [])
    whole = self.decoded
    (complaint,) = self.decode(photo_files.garbled(data))
    self.assertRegex(complaint, '^Corrupt JPEG data: ')
    self.assertEqual(self.decoded.shape, whole.shape)
    if not options:  # the part above is as it was
      np.testing.assert_array_equal(self.decoded[:40], whole[:40])

  def test_jpg_that_is_only_rare(self):
    # Chroma of two resolutions, which not every decoder knows.
    data = bytearray(encode(noise(), 'JPEG', subsampling=2))
    start = data.index(b'\xff\xc0')
    data[start + 14] = 0x12
    self.assertEqual(self.decode(bytes(data)), [])
    self.assertEqual(self.decoded.shape, (48, 64, 3))

  @parameterized.parameters('jpeg', 'tiff_lzw', 'tiff_adobe_deflate')
  def test_garbled_tiff(self, compression):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = bytearray(encode(pixels, 'TIFF', compression=compression))
    middle = len(data) // 2
    data[middle : middle + 20] = b'\xff' * 20
    with self.assertRaisesRegex(ValueError, '^is damaged'):
      self.decode(bytes(data))

  def test_garbled_deep_tiff(self):
    pixels = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    data = bytearray(cv2.imencode('.tiff', pixels)[1].tobytes())
    middle = len(data) // 2
    data[middle : middle + 20] = b'\xff' * 20
    with self.assertRaisesRegex(ValueError, '^is damaged'):
      self.decode(bytes(data))

  def test_garbled_deep_png(self):
    pixels = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    data = bytearray(cv2.imencode('.png', pixels)[1].tobytes())
    data[len(data) // 2] ^= 1
    with self.assertRaisesRegex(ValueError, '^is damaged$'):
      self.decode(bytes(data))

  def test_tiff_of_very_many_channels(self):
    data = tiff(np.zeros((2, 2, 30), np.uint8), 2)
    with self.assertRaisesRegex(ValueError, '^is damaged, or a TIFF'):
      self.decode(data)

  def test_odd_words_are_no_news(self):
    odd = [(34016, 3, [1]), (65000, 3, [2])]
    pixels = np.zeros((2, 3, 3), np.uint16)
    self.assertEqual(self.decode(tiff(pixels, 2, more=odd)), [])
    png = cv2.imencode('.png', pixels)[1].tobytes()
    chunk = b'iCCPx\0\0' + zlib.compress(b'nonsense')
    size, check = len(chunk) - 4, zlib.crc32(chunk)
    chunk = struct.pack('>I', size) + chunk + struct.pack('>I', check)
    self.assertEqual(self.decode(png[:33] + chunk + png[33:]), [])
    np.testing.assert_array_equal(self.decoded, pixels)
