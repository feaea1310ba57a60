"""What is kept of a photo and its mask."""

import io
import pathlib

import chex
import numpy as np
from PIL import Image

from carvana_jax.datasets import file_listing
from carvana_jax.datasets.diagnosis import file_facts, pairs
from tests.helpers import photo_files


def file_of(image, kind, **options):
  stream = io.BytesIO()
  image.save(stream, kind, **options)
  data = stream.getvalue()
  path = pathlib.PurePosixPath('a')
  return file_listing.File('a', path, len(data), lambda: io.BytesIO(data))


class ExamineTest(chex.TestCase):
  def examine(self, orientation, palette):
    mask = Image.new('P', (40, 20), 0)
    mask.paste(1, (0, 0, 10, 20))  # left, upper, right, lower
    mask.putpalette(palette)
    exif = Image.Exif()
    exif[274] = orientation
    photo = file_of(Image.new('RGB', (40, 20)), 'JPEG', exif=exif)
    pair = pairs.Pair('0cdf5b5d0ce1', 1, 'train', photo, file_of(mask, 'GIF'))
    collection = pairs.Collection([], (20, 40), 'RGB JPEG', soft=False)
    return file_facts.examine(pair, collection)

  def test_the_brighter_colour_of_a_palette_is_car(self):
    for palette, area in (
      ([0, 0, 0, 255, 255, 255], 0.25),
      ([255, 255, 255, 0, 0, 0], 0.75),
    ):
      found = self.examine(1, palette).mask
      self.assertEqual(found.area, area)
    np.testing.assert_array_equal(found.box, [0, 0.25, 1, 1])

  def test_a_photo_that_its_exif_turns(self):
    for orientation, kind in (
      (1, 'RGB JPEG'),
      (3, 'RGB JPEG, turned by Exif'),
    ):
      found = self.examine(orientation, [0, 0, 0, 255, 255, 255]).photo
      self.assertEqual(found.kind, kind)

  def test_wrong_bytes_of_a_photo_that_its_exif_turns(self):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    exif = Image.Exif()
    for orientation in (1, 3):
      exif[274] = orientation
      photo = file_of(Image.fromarray(noise), 'JPEG', exif=exif)
      data = photo_files.garbled(photo.read())
      complaint = file_facts.read_photo(data)[0].complaint
      self.assertStartsWith(complaint, 'Corrupt JPEG data: ')
