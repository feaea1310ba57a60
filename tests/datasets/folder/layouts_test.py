"""Photos and masks are found in other people's folders, or nothing is guessed.

Files are empty but where their content must decide.
"""

import io
import pathlib
import tempfile
import unicodedata
import zipfile

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from carvana_jax.datasets.folder import layouts
from carvana_jax.system.errors import UserError

EQUAL = 'by equal names'
MASK = "by names with _mask after the photo's"
SPLITS = 'its own splits: '


def encoded(is_mask, kind='PNG'):
  pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
  if is_mask:
    pixels = np.uint8(255) * (pixels[..., 0] > 99)
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, kind)
  return stream.getvalue()


PHOTO_PNG, MASK_PNG = encoded(is_mask=False), encoded(is_mask=True)


def zipped(*files):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    for name in files:
      archive.writestr(name, name)
  return stream.getvalue()


# A layout's name, its pairs of photo and mask, the photos' short names, and
# words of the line.
CASES = (
  ('two folders', ['images/a.jpg|masks/a.png', 'images/b.JPEG|masks/b.PNG'],
   ['a.jpg', 'b.JPEG'], '2 photos in images/, masks in masks/ by equal names'),
  ('one folder too many', ['x/y/imgs/a.jpg|x/y/gt/a.bmp'], ['a.jpg'],
   '1 photo in x/y/imgs/, masks in x/y/gt/'),
  ('milesial', ['data/imgs/a_01.jpg|data/masks/a_01_mask.gif'], ['a_01.jpg'],
   MASK),
  ('VOC', ['JPEGImages/a.jpg|SegmentationClass/a.png'], ['a.jpg'], EQUAL),
  ('DUTS', [f'DUTS-{x}/DUTS-{x}-Image/{x}.jpg|DUTS-{x}/DUTS-{x}-Mask/{x}.png'
            for x in ('TE', 'TR')], ['TE.jpg', 'TR.jpg'],
   SPLITS + 'train 1, test 1'),
  ('nnU-Net', ['imagesTr/a_0000.png|labelsTr/a.png',
               'imagesTs/b_0000.png|labelsTs/b.png'],
   ['a_0000.png', 'b_0000.png'], SPLITS + 'train 1, test 1'),
  ('CamVid', [f'{x}/{x}.png|{x}annot/{x}.png' for x in ('test', 'val')],
   ['test.png', 'val.png'], SPLITS + 'validation 1, test 1'),
  ('ISIC', ['Task1-2_Training_Input/a.jpg|'
            'Task1_Training_GroundTruth/a_segmentation.png'], ['a.jpg'],
   'with _segmentation after'),
  ('beside', ['a.jpg|a_mask.png', 'b (1).jpg|b (1)-matte.png'],
   ['a.jpg', 'b (1).jpg'], '2 photos in ./, masks beside them'),
  ('beside, words on both', ['x/1_sat.jpg|x/1_mask.png'], ['1_sat.jpg'],
   'names such as 1_sat.jpg and 1_mask.png'),
  ('words in front', ['imgs/image_1.jpg|masks/mask_1.png'], ['image_1.jpg'],
   'names such as image_1.jpg and mask_1.png'),
  ('words within', ['images/a_img_1.jpg|masks/a_mask_1.png'], ['a_img_1.jpg'],
   'names such as'),
  ('numbers', [f'images/P{i}.jpg|masks/M{i}.png' for i in range(3)],
   ['P0.jpg', 'P1.jpg', 'P2.jpg'], 'names such as P0.jpg and M0.png'),
  ('a.jpg.png', ['images/a.jpg|masks/a.jpg.png'], ['a.jpg'], 'with .jpg after'),
  ('Roboflow', ['train/a_jpg.rf.1f.jpg|train/a_jpg.rf.1f_mask.png',
                'valid/b_jpg.rf.2f.jpg|valid/b_jpg.rf.2f_mask.png'],
   ['a_jpg.rf.1f.jpg', 'b_jpg.rf.2f.jpg'], 'train 1, validation 1'),
  ('nested', ['c1/photos/1.jpg|c1/masks/1.png',
              'c2/photos/1.jpg|c2/masks/1.png'], ['c1/1.jpg', 'c2/1.jpg'],
   EQUAL),
  ('nested, beside', ['c1/1.jpg|c1/1_mask.png', 'c2/1.jpg|c2/1_mask.png'],
   ['c1/1.jpg', 'c2/1.jpg'], MASK),
  ('train/images', ['train/images/a.jpg|train/masks/a.png',
                    'val/images/b.jpg|val/masks/b.png'], ['a.jpg', 'b.jpg'],
   'train 1, validation 1'),
  ('images/train, equal names', ['images/train/1.jpg|labels/train/1.png',
                                 'images/test/1.jpg|labels/test/1.png'],
   ['test/1.jpg', 'train/1.jpg'], 'train 1, test 1'),
  ('splits of photos alone', ['images/train/a.jpg|masks/a.png',
                              'images/val/b.jpg|masks/b.png'],
   ['a.jpg', 'b.jpg'], 'train 1, validation 1'),
  ('objects named after roles', ['face mask/1.jpg|face mask/1_mask.png',
                                 'shoe/1.jpg|shoe/1_mask.png'],
   ['face mask/1.jpg', 'shoe/1.jpg'], '2 photos in face mask/ and shoe/'),
  ('photos of masks', ['images/wolf.jpg|masks/wolf.png',
                       'images/wolf_mask.jpg|masks/wolf_mask.png'],
   ['wolf.jpg', 'wolf_mask.jpg'], EQUAL),
  ('odd names', ['images/-x [1].v2.jpg|masks/-x [1].v2.png',
                 'images/Ab.jpg|masks/aB.png'], ['-x [1].v2.jpg', 'Ab.jpg'],
   'by equal names and others'),
  ('accents', [f'images/{unicodedata.normalize("NFD", "ä")}.jpg|masks/ä.png'],
   [unicodedata.normalize('NFD', 'ä.jpg')], EQUAL),
)  # fmt: skip


class LayoutsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def find(self, *files, ending='', **contents):
    """Finds these empty files, and those of a content."""
    for name, content in (dict.fromkeys(files, b'') | contents).items():
      path = self.root / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(content)
    return layouts.find(self.root, ending)

  def refused(self, words, *files, **contents):
    with self.assertRaisesRegex(UserError, words) as caught:
      self.find(*files, **contents)
    self.assertNotIn('\n', str(caught.exception))

  def pairs(self, layout):
    return {f'{item.photo}|{item.mask}' for item in layout.items}

  @parameterized.named_parameters(*CASES)
  def test_found(self, pairs, names, words):
    layout = self.find(*'|'.join(pairs).split('|'))
    self.assertEqual(self.pairs(layout), set(pairs))
    self.assertEqual([item.name for item in layout.items], sorted(names))
    self.assertIn(words, layout.text)
    self.assertEmpty(layout.left_out)

  def test_carvana(self):
    layout = self.find(
      'train_hq/c_01.jpg', 'train_masks/c_01_mask.gif', 'test_hq/d_01.jpg',
      'metadata.csv', 'README.md',
    )  # fmt: skip
    self.assertEqual(
      self.pairs(layout),
      {'train_hq/c_01.jpg|train_masks/c_01_mask.gif', 'test_hq/d_01.jpg|None'},
    )
    self.assertEqual([x.name for x in layout.items], ['c_01.jpg', 'd_01.jpg'])
    self.assertEqual([x.split for x in layout.items], [None, None])
    self.assertEmpty(layout.left_out)

  def test_carvana_twice(self):
    photo = 'train/c_01.jpg'
    layout = self.find(
      'train_hq/c_01.jpg',
      'train_masks/c_01_mask.gif',
      **{photo: photo.encode(), 'train.zip': zipped(photo)},
    )
    self.assertLen(layout.items, 1)
    self.assertEqual(str(layout.items[0].photo), 'train/c_01.jpg')
    self.assertLen(layout.left_out, 2)

  def test_splits_are_of_what_has_masks(self):
    layout = self.find(
      'train/images/a.jpg', 'train/masks/a.png', 'test/images/b.jpg'
    )
    self.assertEqual([x.split for x in layout.items], [None, None])
    self.assertEndsWith(layout.text, 'equal names; 1 photo without a mask')

  def test_splits_of_objects_are_none(self):
    names = ('train wagon/1', 'test car/1')
    layout = self.find(*(x + y for x in names for y in ('.jpg', '_mask.png')))
    self.assertEqual([x.split for x in layout.items], [None, None])

  def test_what_lacks_its_other_half(self):
    layout = self.find(
      'images/a.jpg', 'masks/a.png', 'images/b.jpg', 'masks/c.png'
    )
    self.assertEqual(
      self.pairs(layout),
      {'images/a.jpg|masks/a.png', 'images/b.jpg|None', 'None|masks/c.png'},
    )
    self.assertEqual(
      [x.name for x in layout.items], ['a.jpg', 'b.jpg', 'c.png']
    )
    self.assertIn('1 photo without a mask; 1 mask without a photo', layout.text)

  def test_a_lost_mask_is_not_another_objects(self):
    layout = self.find(
      'c1/photos/1.jpg', 'c1/masks/1.png', 'c1/photos/2.jpg', 'c1/masks/2.png',
      'c2/photos/3.jpg', 'c3/masks/3.png',
    )  # fmt: skip
    self.assertIn('None|c3/masks/3.png', self.pairs(layout))

  @parameterized.parameters('_frei', '_frei.png', '_FREI')
  def test_given_ending(self, ending):
    files = ('x/a.jpg', 'x/a_frei.png', 'x/a_mask.jpg')
    layout = self.find(*files, ending=ending)
    self.assertIn('x/a.jpg|x/a_frei.png', self.pairs(layout))

  def test_given_ending_of_nothing(self):
    self.find('images/a.jpg', 'masks/a.png')
    with self.assertRaisesRegex(UserError, 'no mask of a photo ends in _x'):
      layouts.find(self.root, '_x')

  # By content.

  @parameterized.parameters(
    ('x/1.jpg', 'x/1.png', 'masks beside them by equal names'),
    ('IMG_1.JPG', 'IMG_1.gif', 'masks beside them by equal names'),
    ('a/1.png', 'b/1.png', 'photo in a/, masks in b/'),
    ('z/1.png', 'b/1.png', 'photo in z/, masks in b/'),
    ('c/pix/1.png', 'c/sil/1.png', 'photo in c/pix/, masks in c/sil/'),
    ('1.png', 'cut/1.png', 'photo in ./, masks in cut/'),
    ('input/1.png', 'output/1.png', 'photo in input/, masks in output/'),
    ('x/1.jpg', 'x/1frei.png', 'with frei after'),
  )
  def test_by_content(self, photo, mask, words):
    layout = self.find(**{photo: PHOTO_PNG, mask: MASK_PNG})
    self.assertEqual(self.pairs(layout), {f'{photo}|{mask}'})
    self.assertIn(words, layout.text)
    self.assertIn('(told from photos by content)', layout.text)

  @parameterized.parameters(PHOTO_PNG, MASK_PNG)
  def test_content_that_does_not_tell(self, content):
    self.refused(
      r'x/1.jpg and x/1.png may be photo and mask, but .* like a mask; put',
      **{'x/1.jpg': content, 'x/1.png': content},
    )

  # Refused.

  @parameterized.parameters(
    ('masks/a.png and masks/a_mask.png both fit images/a.jpg',
     ['images/a.jpg', 'masks/a.png', 'masks/a_mask.png']),
    ('images/a.jpg and images/a.png both fit masks/a.png',
     ['images/a.jpg', 'images/a.png', 'masks/a.png']),
    ('masks/x/a.png and masks/y/a.png both fit images/a.jpg',
     ['images/a.jpg', 'masks/x/a.png', 'masks/y/a.png']),
    ('images/Aa.jpg and images/aA.jpg both fit masks/aa.png',
     ['images/aA.jpg', 'images/Aa.jpg', 'masks/aa.png']),
    ('imagesTr/a_0001.png is the second channel',
     ['imagesTr/a_0000.png', 'imagesTr/a_0001.png', 'labelsTr/a.png']),
    (r'no masks were found among its 2 pictures \(a.jpg, b.jpg\)',
     ['a.jpg', 'b.jpg']),
    (r'no masks were found .* \(1 file is left out \(a.json\)',
     ['a.jpg', 'a.json']),
    ('holds no pictures', ['a.txt']),
  )  # fmt: skip
  def test_refused(self, words, files):
    self.refused(words, *files)

  def test_no_folder(self):
    with self.assertRaisesRegex(UserError, 'nowhere does not exist; data.man'):
      layouts.find(self.root / 'nowhere')

  def test_an_archive_in_place_of_a_folder(self):
    path = self.root / 'mine.ZIP'
    path.write_bytes(zipped('x/images/a.jpg', 'x/masks/a.png'))
    (item,) = layouts.find(path).items
    self.assertEqual(item.name, 'a.jpg')
    self.assertEqual(item.photo.read(), b'x/images/a.jpg')
    self.assertEqual(item.mask.read(), b'x/masks/a.png')
    with self.assertRaisesRegex(UserError, 'notes.txt is no folder or ZIP;'):
      (self.root / 'notes.txt').touch()
      layouts.find(self.root / 'notes.txt')

  # Not used.

  @parameterized.parameters(
    ('notes.txt', 'masks must be pictures'),
    ('images/b.nii.gz', 'save them as PNG'),
    ('images.tar.gz', 'only ZIPs are read'),
    ('images/b.jpg.part', 'unfinished'),
    ('images/b', 'no picture'),
    ('small/a.jpg', 'neither in a folder of photos nor of masks'),
    ('overlays/a.jpg', 'neither a photo nor a mask'),
    ('images/b.gif', 'photos in GIF'),
    ('SegmentationObject/a.png', 'other masks'),
    ('list.csv', 'without the columns'),
  )
  def test_left_out(self, file, reason):
    (line,) = self.find('images/a.jpg', 'masks/a.png', file).left_out
    self.assertStartsWith(line, f'1 file is left out ({file}): ')
    self.assertIn(reason, line)

  def test_a_photo_without_ending(self):
    (line,) = self.find(
      'images/a.jpg', 'masks/a.png', **{'images/b': PHOTO_PNG}
    ).left_out
    self.assertEndsWith(line, 'by content a picture; let its name end in .png')

  def test_litter_is_no_news(self):
    litter = ('.x/a.jpg', 'images/._a.jpg', 'Thumbs.db', '__MACOSX/a.jpg')
    layout = self.find('images/a.jpg', 'masks/a.png', *litter)
    self.assertLen(layout.items, 1)
    self.assertEmpty(layout.left_out)

  def test_links(self):
    self.find('there/a.jpg', 'masks/a.png')
    (self.root / 'images').symlink_to('there')
    (self.root / 'there/loop').symlink_to('..')
    (self.root / 'masks/b.png').symlink_to('nowhere')
    layout = layouts.find(self.root)
    self.assertEqual(self.pairs(layout), {'there/a.jpg|masks/a.png'})
    self.assertLen(layout.left_out, 2)
    self.assertIn('images/', layout.left_out[1] + layout.left_out[0])

  # In archives.

  def test_one_archive(self):
    layout = self.find(**{'all.zip': zipped('x/images/a.jpg', 'x/masks/a.png')})
    self.assertEqual(
      self.pairs(layout), {'all.zip:x/images/a.jpg|all.zip:x/masks/a.png'}
    )
    self.assertEqual(layout.items[0].mask.read(), b'x/masks/a.png')

  def test_an_archive_a_folder(self):
    layout = self.find(
      **{'photos.zip': zipped('a.jpg'), 'masks.zip': zipped('a_mask.png')}
    )
    self.assertEqual(layout.items[0].name, 'a.jpg')
    self.assertStartsWith(
      layout.text, '1 photo in photos.zip, masks in masks.zip'
    )

  def test_an_archive_a_split_in_an_archive(self):
    inner = {
      f'{x}.zip': zipped(f'{x}/{x}.jpg', f'{x}/{x}_mask.png')
      for x in ('train', 'val')
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
      for name, data in inner.items():
        archive.writestr(name, data)
      archive.writestr('../out.jpg', b'')
    layout = self.find(**{'big.zip': stream.getvalue()})
    self.assertEqual([x.split for x in layout.items], ['train', 'validation'])
    self.assertEqual([x.name for x in layout.items], ['train.jpg', 'val.jpg'])
    self.assertLen(layout.left_out, 1)


if __name__ == '__main__':
  absltest.main()
