"""TIFF, BMP, AVIF and HEIC, and what decoders say of wrong bytes."""

import os
import struct
import tempfile
import warnings
import zlib
from unittest import mock

import cv2
import numpy as np
from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets import decoding
from carvana_jax.system import image_libraries
from tests.datasets.decoding_test import STORED, encode, noise, turned
from tests.helpers import photo_files
from tests.helpers.photo_files import tiff


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

  @parameterized.product(orientation=tuple(STORED), dtype=(np.uint8, np.uint16))
  def test_upright_tiff(self, orientation, dtype):
    scale = np.iinfo(dtype).max // 255
    grey = np.array(STORED[orientation], dtype) * 40 * scale
    upright = [[40, 80, 120], [160, 200, 240]]
    self.check(tiff(grey, 1, orientation=orientation), upright)
    colours = np.repeat(grey[..., None], 3, 2)
    self.check(tiff(colours, 2, orientation=orientation), upright)

  @parameterized.product(orientation=tuple(STORED), kind=('AVIF', 'HEIF'))
  def test_upright(self, orientation, kind):
    stored = np.kron(STORED[orientation], 40 * np.ones((32, 32)))
    exif = turned(orientation).tobytes()  # makes them write boxes of turns, too
    data = encode(stored, kind, exif=exif, quality=95)
    upright = np.kron(STORED[1], 40 * np.ones((32, 32)))
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
    self.assert_damaged(encode(pixels, 'TIFF', compression=compression))

  def test_garbled_deep_tiff(self):
    pixels = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    self.assert_damaged(cv2.imencode('.tiff', pixels)[1].tobytes())

  def assert_damaged(self, data):
    """With some wrong bytes in its middle."""
    middle = len(data) // 2
    data = data[:middle] + b'\xff' * 20 + data[middle + 20 :]
    with self.assertRaisesRegex(ValueError, '^is damaged'):
      self.decode(data)

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
