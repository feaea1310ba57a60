import concurrent.futures
import io
import subprocess
import sys
import threading
from unittest import mock

import cv2
import numpy as np
from absl.testing import absltest
from PIL import Image, UnidentifiedImageError

from carvana_jax.datasets import images
from tests.helpers import photo_files
from tests.helpers.commands import ROOT

# Looks at what is the same for all of a process.
_IMPORT = """
import warnings
import cv2, numpy, PIL.Image

def settings():
  return (
    PIL.Image.MAX_IMAGE_PIXELS,
    list(warnings.filters),
    cv2.getNumThreads(),
    cv2.useOptimized(),
  )

cv2.setNumThreads(3)
before = settings()
import carvana_jax.datasets.images
assert settings() == before, (settings(), before)
"""


def encode(pixels, kind):
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, kind)
  return stream.getvalue()


class ImagesTest(absltest.TestCase):
  def test_decode_photo(self):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    decoded = images.decode_photo(encode(pixels, 'PNG'))
    np.testing.assert_array_equal(decoded, pixels)

  def test_decode_photo_gives_grey_three_channels(self):
    decoded = images.decode_photo(
      encode(np.full((8, 16), 77, np.uint8), 'JPEG')
    )
    np.testing.assert_array_equal(decoded, np.full((8, 16, 3), 77))

  def test_mask_survives_encoding(self):
    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    data = images.encode_png(mask)
    np.testing.assert_array_equal(images.decode_mask(data), mask)
    with Image.open(io.BytesIO(data)) as image:
      self.assertEqual((image.format, image.mode), ('PNG', 'L'))

  def test_reduce_averages_whole_blocks(self):
    pixels = np.array([[0, 40, 255, 255], [80, 120, 255, 255]], np.uint8)
    reduced = images.reduce(pixels, 1, 2)
    np.testing.assert_array_equal(reduced, [[60, 255]])

  def test_reduce_counts_cut_pixels_by_their_share(self):
    # Each result covers 1.5 pixels a side: weights 2/3 and 1/3.
    pixels = np.array([[90, 0, 0], [0, 0, 0], [0, 0, 180]], np.uint8)
    reduced = images.reduce(pixels, 2, 2)
    np.testing.assert_array_equal(reduced, [[40, 0], [0, 80]])

  def test_mask_pixels(self):
    mask = np.array([[True, False, True], [False, False, True]])
    for given in (mask, mask.T):  # whatever lies beside each other in memory
      pixels = images.mask_pixels(given)
      self.assertEqual(pixels.dtype, np.uint8)
      np.testing.assert_array_equal(pixels, np.where(given, 255, 0))

  def test_not_an_image(self):
    with self.assertRaises(ValueError):
      images.decode_photo(b'no image')

  def test_jpg_with_wrong_bytes(self):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 96, 3), np.uint8)
    whole = encode(noise, 'JPEG')
    self.assertEqual(images.check_jpeg(whole), '')
    garbled = photo_files.garbled(whole)
    pixels, complaint = images.decode_jpeg(garbled)
    self.assertStartsWith(complaint, 'Corrupt JPEG data: ')
    self.assertEqual(images.check_jpeg(garbled), complaint)
    with Image.open(io.BytesIO(garbled)) as image:
      np.testing.assert_array_equal(pixels, np.asarray(image))
    np.testing.assert_array_equal(images.decode_photo(garbled), pixels)

  def test_jpg_that_is_not_whole(self):
    data = encode(np.zeros((64, 96, 3), np.uint8), 'JPEG')
    for damaged in (data[:-2], data[:100], data[:2]):
      with self.assertRaises(ValueError):
        images.decode_jpeg(damaged)
      with self.assertRaises(OSError):
        images.check_jpeg(damaged)

  def test_colours_survive_encoding(self):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    decoded = images.decode_photo(images.encode_png(pixels))
    np.testing.assert_array_equal(decoded, pixels)

  def test_decodes_jpg_as_pillow_does(self):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 9, 3), np.uint8)
    data = encode(np.kron(small, np.ones((8, 8, 1), np.uint8)), 'JPEG')
    with Image.open(io.BytesIO(data)) as image:
      expected = np.asarray(image.convert('RGB'))
    np.testing.assert_array_equal(images.decode_photo(data), expected)

  def test_jpg_without_simplejpeg(self):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (45, 67, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (9, 9), 2)
    kinds = [Image.fromarray(x).convert(mode) for x in (noise, smooth)
             for mode in ('RGB', 'L', 'CMYK')]  # fmt: skip
    files = [
      photo_files.encode(
        image, 'JPEG', quality=quality, subsampling=sampling,
        progressive=progressive,
      )
      for image in kinds
      for quality in (30, 95)
      for sampling in ('4:4:4', '4:2:2', '4:2:0')
      for progressive in (False, True)
    ]  # fmt: skip
    files.append(photo_files.garbled(files[0]))
    before = [images.decode_jpeg(data)[0] for data in files]
    with mock.patch.object(images, 'simplejpeg', None):
      for data, expected in zip(files, before, strict=True):
        found, complaint = images.decode_jpeg(data)
        np.testing.assert_array_equal(found, expected)
        self.assertEqual((complaint, images.check_jpeg(data)), ('', ''))
      for damaged in (files[0][:-2], files[0][:100]):
        with self.assertRaises(ValueError):
          images.decode_jpeg(damaged)

  def test_reduce_averages_one_axis_where_the_other_grows(self):
    pixels = np.array([[0, 100, 50, 150]], np.uint8)
    np.testing.assert_array_equal(images.reduce(pixels, 2, 1), [[75], [75]])

  def test_reduce_treats_channels_alone(self):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = [4, 40, 200]
    np.testing.assert_array_equal(images.reduce(pixels, 1, 1), [[[1, 10, 50]]])

  def test_reduce_to_the_same_size_changes_nothing(self):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(images.reduce(pixels, 3, 4), pixels)

  def test_import_changes_no_other_library(self):
    subprocess.run([sys.executable, '-c', _IMPORT], cwd=ROOT, check=True)


class OpenedTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.limit = Image.MAX_IMAGE_PIXELS
    self.assertIsNotNone(self.limit)
    self.data = encode(np.zeros((4, 6), np.uint8), 'PNG')

  def test_pillows_limit_stays(self):
    self.assertEqual(images.opened(io.BytesIO(self.data)).size, (6, 4))
    self.assertEqual(Image.MAX_IMAGE_PIXELS, self.limit)
    with self.assertRaises(UnidentifiedImageError):
      images.opened(io.BytesIO(b'no image'))
    self.assertEqual(Image.MAX_IMAGE_PIXELS, self.limit)

  def test_pillows_limit_is_lifted_for_all_threads(self):
    limits = []
    reading, read = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
      def read(self, *size):
        reading.set()
        read.wait(30)
        limits.append(Image.MAX_IMAGE_PIXELS)
        return super().read(*size)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      slow = pool.submit(images.opened, Slow(self.data))
      self.assertTrue(reading.wait(30))
      images.opened(io.BytesIO(self.data))  # begins later and ends sooner
      read.set()
      self.assertEqual(slow.result().size, (6, 4))
    self.assertEqual(set(limits), {None})
    self.assertEqual(Image.MAX_IMAGE_PIXELS, self.limit)


if __name__ == '__main__':
  absltest.main()
