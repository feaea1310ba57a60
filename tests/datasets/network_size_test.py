"""The size of a network is what suits most photos, or as it is asked for."""

import contextlib
import io
import math
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from carvana_jax.configs import debug, median_cnn100
from carvana_jax.datasets import network_size
from carvana_jax.system.errors import UserError


class SuggestTest(parameterized.TestCase):
  # By hand: of the multiples of 32 with about 393,216 pixels, the one whose
  # shape is nearest to the photos'.
  @parameterized.parameters(
    ((1280, 1918), (512, 768)),
    ((1918, 1280), (768, 512)),
    ((3000, 4000), (576, 768)),
    ((4032, 3024), (768, 576)),
    ((2000, 2000), (640, 640)),
    ((1080, 1920), (448, 800)),
    ((300, 400), (288, 384)),  # no larger than the photos
    ((100, 40), (96, 40)),  # multiples of 8 for small ones
    ((20, 30), (16, 24)),
    ((7, 30), (7, 24)),  # smaller than any multiple
  )
  def test_size(self, photo, expected):
    self.assertEqual(network_size.suggest(photo), expected)

  def test_any_photo_gets_a_size_that_it_fills(self):
    generator = np.random.default_rng(0)
    for photo in generator.integers(8, 5000, (50, 2)).tolist():
      size = network_size.suggest(photo)
      self.assertLessEqual(size[0], photo[0])
      self.assertLessEqual(size[1], photo[1])
      self.assertLess(math.prod(size), 1.5 * 512 * 768)


class FolderTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.config = debug.get_config().data
    self.config.update(
      dataset='folder', manual_dir=str(self.folder), size='', full_size=''
    )

  def write(self, *sizes, orientation=1):
    """Writes a photo and a mask of each (height, width), as they are stored."""
    for kind in ('images', 'masks'):
      (self.folder / kind).mkdir(exist_ok=True)
    for number, (height, width) in enumerate(sizes, 1):
      photo = Image.new('RGB', (width, height))
      exif = photo.getexif()
      exif[274] = orientation
      photo.save(self.folder / 'images' / f'car{number}_1.jpg', exif=exif)
      mask = Image.new('L', (width, height), 255)
      mask.save(self.folder / 'masks' / f'car{number}_1.png')

  def settled(self):
    """The size that is set, and what is printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      network_size.settle(self.config)
    network_size.refuse_unfit(self.config)
    return self.config.size, printed.getvalue()

  def test_upright_photos(self):
    self.write((60, 90), (60, 90), orientation=6)
    expected = (
      'network size 72x48, as photos are 90x60 (set config.data.size for '
      'another)\n'
    )
    self.assertEqual(self.settled(), ('72x48', expected))

  def test_most_photos_decide_and_the_others_are_counted(self):
    self.write((64, 96), (64, 96), (128, 192), (96, 64), (64, 96), (64, 96))
    self.config.fit = 'pad'
    size, printed = self.settled()
    self.assertEqual(size, '64x96')
    self.assertEqual(
      printed,
      'network size 64x96, as most photos are 64x96 (set config.data.size for '
      'another); 1 of 6 photos have another shape and are padded '
      '(config.data.fit=pad)\n',
    )

  def test_sizes_without_a_majority(self):
    # Of the median area, 120x180, and the median shape, 2:3.
    self.write((120, 180), (60, 90), (300, 200), (64, 96), (300, 400))
    size, printed = self.settled()
    self.assertEqual(size, '112x168')
    self.assertIn('as photos are about 120x180 (set', printed)
    self.assertIn('2 of 5 photos have another shape and are str', printed)

  def test_full_size(self):
    self.config.full_size = '64x64'
    size, printed = self.settled()
    self.assertEqual(size, '64x64')
    self.assertIn('as photos are scored at 64x64', printed)

  def test_a_size_that_is_set_stays(self):
    self.write((64, 96))
    self.config.size = '50x70'
    self.assertEqual(self.settled(), ('50x70', ''))

  def test_larger_than_most_photos(self):
    self.write((64, 96), (64, 96), (640, 960))
    self.config.size = '96x96'
    with self.assertRaisesRegex(UserError, '=96x96 has more .* about 64x96;'):
      network_size.refuse_unfit(self.config)
    self.config.size = '96x64'
    network_size.refuse_unfit(self.config)

  def test_tiles_larger_than_a_photo(self):
    self.write((64, 96), (64, 96), (32, 96))
    self.config.update(size='32x32', coarse='first')
    network_size.refuse_unfit(self.config)
    self.config.size = '64x32'
    with self.assertRaisesRegex(UserError, '=64x32 of tiles .* of 32x96;'):
      network_size.refuse_unfit(self.config)

  def test_no_photo_can_be_read(self):
    self.write((64, 96))
    (self.folder / 'images' / 'car1_1.jpg').write_bytes(b'text')
    with self.assertRaisesRegex(UserError, 'car1_1.jpg is no JPG'):
      network_size.settle(self.config)


class RefuseTest(parameterized.TestCase):
  @parameterized.parameters(
    ('studio', '8x64', '64x96', '=8x64 must have at least 16 pixels'),
    ('studio', '64x96', '9000x9000', '=9000x9000 .* at most 33 million'),
    ('studio', '64x97', '64x96', 'larger than the full size 64x96'),
    ('studio', '64x96', 'original', "'original' is not HEIGHTxWIDTH"),
    ('carvana', '64x96', '2560x3836', 'larger than the photos of carvana'),
    ('carvana', 'original', '', "'original' is not HEIGHTxWIDTH"),
  )
  def test_sizes_of_no_use(self, dataset, size, full_size, words):
    config = debug.get_config().data
    config.update(dataset=dataset, size=size, full_size=full_size)
    with self.assertRaisesRegex(UserError, words):
      network_size.refuse_unfit(config)

  def test_any_other_size(self):
    config = median_cnn100.get_config().data
    for size in ('17x33', '1280x1918', '100x1000'):
      config.size = size
      network_size.refuse_unfit(config)

  def test_suggested_by_the_full_size(self):
    config = debug.get_config().data
    config.update(dataset='carvana', size='', full_size='')
    with contextlib.redirect_stdout(io.StringIO()):
      network_size.settle(config)
    self.assertEqual(config.size, '512x768')


if __name__ == '__main__':
  absltest.main()
