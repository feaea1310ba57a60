"""Checks of tiny photos and masks, each wrong in its own way."""

import contextlib
import io
import pathlib
from types import SimpleNamespace

import cv2
import numpy as np
from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import masks, verify
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system.errors import UserError
from tests.helpers import photo_files

SIZE = HEIGHT, WIDTH = 48, 72
SPLITS = ('train', 'train', 'train', 'validation', 'test')


def picture(seed):
  """Blocks of colours."""
  small = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), np.uint8)
  return np.kron(small, np.ones((8, 8, 1), np.uint8))


def encode(pixels, kind='JPEG', **options):
  return photo_files.encode(Image.fromarray(pixels), kind, **options)


def file(name, data):
  path = pathlib.PurePosixPath(name)
  return File(name, path, len(data), lambda: io.BytesIO(data))


def mask(value=255):
  pixels = np.zeros(SIZE, np.uint8)
  pixels[10:30, 20:50] = value
  return encode(pixels, 'PNG')


def folder(**changed):
  """Five photos and masks; changed are the contents of some, by name."""
  contents = {f'photo{x}': encode(picture(x)) for x in range(5)}
  contents |= {f'mask{x}': mask() for x in range(5)} | changed
  files = {
    name: data if data is None else file(name, data)
    for name, data in contents.items()
  }
  return [
    Item(f'{x}.jpg', files[f'photo{x}'], files[f'mask{x}']) for x in range(5)
  ]


def check(items, resize=False):
  places = [SimpleNamespace(split=split, fold=0) for split in SPLITS]
  return verify.check(items, places, masks.survey(items, ''), resize)


class VerifyTest(parameterized.TestCase):
  def test_nothing_to_say(self):
    self.assertEqual(check(folder(mask4=None)), ())

  @parameterized.named_parameters(
    ('photo', {'photo1': encode(picture(1))[:200]},
     'photo1 is damaged: replace or remove it'),
    ('png', {'photo1': encode(picture(1), 'PNG')[:200]},
     'photo1 is damaged: replace or remove it'),
    ('text', {'photo1': b'text'}, 'photo1 is no JPG'),
    ('no_photo', {'photo1': None}, 'mask1 has no photo'),
    ('mask', {'mask1': mask()[:60]}, 'mask1 is damaged'),
    ('size', {'mask1': encode(np.zeros((24, 36), np.uint8), 'PNG')},
     'mask1 has 36x24 pixels, its photo 72x48: .*data.resize_masks'),
    ('two', {'photo1': b'', 'mask2': b''}, r'photo1 .*\(1 more with problems'),
  )  # fmt: skip
  def test_problems(self, changed, message):
    with self.assertRaisesRegex(UserError, f'^{message}'):
      check(folder(**changed))

  def test_a_mask_of_another_size_is_used_where_that_is_said(self):
    half = cv2.resize(picture(1)[..., 0], (36, 24)) // 128 * 255
    self.assertEqual(check(folder(mask1=encode(half, 'PNG')), True), ())

  def test_a_turned_photo(self):
    exif = Image.Exif()
    exif[274] = 6
    turned = encode(np.rot90(picture(1)).copy(), exif=exif)
    self.assertEqual(check(folder(photo1=turned)), ())

  def test_empty_and_full_masks_are_counted(self):
    full = encode(np.full(SIZE, 255, np.uint8), 'PNG')
    lines = check(folder(mask1=mask(0), mask2=mask(0), mask3=full))
    self.assertEqual(
      lines,
      ('2 masks (mask1, mask2) are empty.', '1 mask (mask3) is all object.'),
    )

  def test_wrong_bytes_are_named_and_the_photo_is_used(self):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
      check(folder(photo1=photo_files.garbled(encode(picture(1)))))
    self.assertIn('photo1 may look wrong in parts', said.getvalue())

  @parameterized.named_parameters(
    ('same', encode(picture(0))),
    ('again', encode(picture(0), quality=40)),
    ('mirrored', encode(picture(0)[:, ::-1].copy(), 'PNG')),
  )
  def test_a_photo_in_two_splits_is_refused(self, data):
    message = 'photo0 of train and photo4 of test look the same.*one group'
    with self.assertRaisesRegex(UserError, message):
      check(folder(photo4=data))

  def test_a_photo_twice_in_a_split_is_not(self):
    self.assertEqual(check(folder(photo1=encode(picture(0)))), ())
