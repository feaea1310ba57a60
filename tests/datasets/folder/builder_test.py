"""A folder of photos and masks, prepared at their own size and at others."""

import contextlib
import io
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest
from PIL import Image

from carvana_jax.configs import debug
from carvana_jax.datasets import images, prepare, reading
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# Of a photo, upright and 40x60: the object is its left third.
HIGH, WIDE, OBJECT = 40, 60, 20
# Groups by their folds 1, 0 and 7: validation, test and train.
GROUPS = {'shoe33': 'validation', 'shoe07': 'test', 'shoe01': 'train'}


def pixels(number):
  """RGB that no other photo has, brighter where the object is."""
  random = np.random.default_rng(number)
  blocks = random.integers(0, 100, (4, 6, 3)).astype(np.uint8)
  picture = blocks.repeat(10, 0).repeat(10, 1)
  picture[:, :OBJECT] += np.uint8(100)
  return picture


def mask():
  found = np.zeros((HIGH, WIDE), np.uint8)
  found[:, :OBJECT] = 255
  return found


class BuilderTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.photos, self.masks = root / 'own/images', root / 'own/masks'
    self.photos.mkdir(parents=True)
    self.masks.mkdir()
    self.config = debug.get_config().data
    self.config.update(
      dataset='folder', manual_dir=str(root / 'own'), full_size='',
      data_dir=str(root / 'data'), size='16x24',
    )  # fmt: skip
    prepare._say.cache_clear()
    for number, group in enumerate(GROUPS):
      for view in (1, 2):
        photo = Image.fromarray(pixels(10 * number + view))
        photo.save(self.photos / f'{group}_{view}.jpg', quality=95)
        Image.fromarray(mask()).save(self.masks / f'{group}_{view}.png')

  def prepared(self, size):
    """The builder, and what was printed."""
    printed = io.StringIO()
    with (
      contextlib.redirect_stdout(printed),
      contextlib.redirect_stderr(printed),
    ):
      builder = prepare.dataset(self.config, size)
    return builder, printed.getvalue()

  def examples(self, builder):
    """All examples by file name, each with its split."""
    return {
      example['filename'].decode(): example | {'split': split}
      for split in builder.info.splits
      for example in reading.undecoded_examples(builder, split)
    }

  def test_own_sizes(self):
    # As a camera stores it that is held upright: turned to the left.
    exif = Image.Exif()
    exif[274] = 6
    lying = np.rot90(pixels(50))
    turned = io.BytesIO()
    Image.fromarray(lying).save(turned, 'JPEG', quality=95, exif=exif)
    files.write(self.photos / 'shoe01_3.jpg', turned.getvalue())
    Image.fromarray(mask()).save(self.masks / 'shoe01_3.png')
    large = np.concatenate([pixels(60), pixels(61)])
    Image.fromarray(large).save(self.photos / 'shoe01_4.png')
    Image.fromarray(np.tile(mask(), (2, 1))).save(self.masks / 'shoe01_4.png')
    builder, printed = self.prepared('original')
    self.assertIn('8 photos in images/, masks in masks/', printed)
    self.assertEqual(builder.info.features['image'].shape, (None, None, 3))
    found = self.examples(builder)
    self.assertLen(found, 8)
    for name, example in found.items():
      group, view = name[:6], int(name[7])
      own = {'car_id': group.encode(), 'view': view, 'split': GROUPS[group]}
      self.assertEqual({x: example[x] for x in own}, own)
    for name in ('shoe33_2.jpg', 'shoe07_1.jpg'):
      stored = (self.photos / name).read_bytes()
      self.assertEqual(found[name]['image'], stored)
      self.assertTrue((images.decode_mask(found[name]['mask']) == mask()).all())
    # What libjpeg makes of the lying pixels, turned to the right.
    upright = np.rot90(images.decode_photo(turned.getvalue()), -1)
    photo = images.decode_photo(found['shoe01_3.jpg']['image'])
    np.testing.assert_array_equal(photo, upright)
    self.assertTrue(found['shoe01_3.jpg']['image'].startswith(b'\x89PNG'))
    np.testing.assert_array_equal(
      images.decode_mask(found['shoe01_3.jpg']['mask']), mask()
    )
    photo = images.decode_photo(found['shoe01_4.png']['image'])
    np.testing.assert_array_equal(photo, large)

  def test_network_sizes(self):
    # 40x60 in 20x20: 13x20 with 3 rows above and 4 below.
    grey = np.full((HIGH, WIDE, 3), 50, np.uint8)
    grey[: HIGH // 2, :OBJECT] = 200
    Image.fromarray(grey).save(self.photos / 'shoe01_3.png')
    half = mask()
    half[HIGH // 2 :] = 0
    Image.fromarray(half).save(self.masks / 'shoe01_3.png')
    stretched, _ = self.prepared('20x20')
    self.config.fit = 'pad'
    padded, printed = self.prepared('20x20')
    self.assertEqual(padded.builder_config.name, '20x20-pad')
    self.assertNotIn('has changed', printed)
    self.assertEqual(
      stretched.data_path.parents[1], padded.data_path.parents[1]
    )
    read = lambda builder, name: images.decode_mask(
      self.examples(builder)['shoe01_3.png'][name]
    )
    shown = read(stretched, 'mask')
    self.assertTrue((shown[:10, :6] == 255).all())
    self.assertTrue((shown[10:] == 0).all())
    self.assertTrue((shown[:, 7:] == 0).all())
    shown, photo = read(padded, 'mask'), read(padded, 'image')
    # Upwards the object goes on to the picture's edge, photo and mask alike.
    self.assertTrue((shown[:9, :6] == 255).all())
    self.assertTrue((photo[:9, :6] == 200).all())
    self.assertTrue((shown[10:] == 0).all())
    self.assertTrue((photo[10:] == 50).all())
    # Full sizes other than the photos' own are padded as well.
    self.config.full_size = '40x40'
    name = prepare.for_scoring(self.config).builder_config.name
    self.assertEqual(name, '40x40-pad')

  def test_how_many_photos_are_trained_on_is_told_before(self):
    begun = []
    builder = prepare.dataset(self.config, '16x24', begun.append)
    self.assertEqual(begun, [builder.info.splits['train'].num_examples])

  def test_other_options_are_other_data_of_the_same_files(self):
    before, _ = self.prepared('16x24')
    identity = prepare.identity(self.config, before)
    self.assertRegex(
      identity, '^folder-[0-9a-f]{8}-[0-9a-f]{8}/folder/16x24/1.0.0$'
    )
    self.config.groups = 'photo'
    other, printed = self.prepared('16x24')
    self.assertNotEqual(prepare.identity(self.config, other), identity)
    self.assertNotIn('has changed', printed)
    groups = {x['car_id'] for x in self.examples(other).values()}
    self.assertLen(groups, 6)
    self.config.groups = ''
    again, printed = self.prepared('16x24')
    self.assertEqual(again.data_path, before.data_path)
    self.assertNotIn('preparing', printed)
    Image.new('L', (WIDE, HIGH), 255).save(self.masks / 'shoe01_1.png')
    prepare._say.cache_clear()
    changed, printed = self.prepared('16x24')
    self.assertNotEqual(changed.data_path, before.data_path)
    self.assertIn(f'has changed since {identity[:24]} was made', printed)

  def test_photos_without_masks(self):
    (self.masks / 'shoe01_2.png').unlink()
    builder, printed = self.prepared('16x24')
    self.assertIn('without a mask, so left out: 1 photo (for training', printed)
    self.assertNotIn('unlabeled', builder.info.splits)
    self.config.unlabeled = True
    builder, printed = self.prepared('16x24')
    self.assertNotIn('left out', printed)
    self.assertEqual(builder.info.splits['unlabeled'].num_examples, 1)
    example = self.examples(builder)['shoe01_2.jpg']
    self.assertFalse(images.decode_mask(example['mask']).any())

  def test_nothing_is_written_of_a_folder_with_a_damaged_photo(self):
    path = self.photos / 'shoe01_2.jpg'
    path.write_bytes(path.read_bytes()[:300])
    with self.assertRaisesRegex(UserError, 'shoe01_2.jpg'):
      self.prepared('16x24')
    root = pathlib.Path(self.config.data_dir)
    self.assertEmpty(list(root.glob('folder-*')))

  def test_a_folder_is_needed(self):
    self.config.manual_dir = ''
    with self.assertRaisesRegex(UserError, 'set config.data.manual_dir=FOLDER'):
      prepare.dataset(self.config, '16x24')


if __name__ == '__main__':
  absltest.main()
