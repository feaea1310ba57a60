"""Nothing in a manual folder vanishes without a word."""

import io
import os
import pathlib
import tempfile
import zipfile

from absl.testing import absltest, parameterized

from carvana_jax.datasets import unused_files
from carvana_jax.datasets.carvana import archives, left_out
from carvana_jax.system.errors import UserError

CAR = '0cdf5b5d0ce1'
PHOTO, MASK = f'train/{CAR}_01.jpg', f'train_masks/{CAR}_01_mask.gif'
PHOTO_NAME = 'a photo must be named CAR_VIEW.jpg'
MASK_NAME = 'must be named CAR_VIEW_mask.gif or .png'
NO_IMAGE = ': by its name that is no image; move it out'
ZIP_INSIDE = ': a ZIP among photos or masks is not looked into; unpack it'
PLACES = 'photos must be in train/ and masks in train_masks/'

DEEP = 'folders so deep are not looked into; move their files up'

# A file, how it is named and why it is of no use.
CASES = (
  ('train/mycar_01.jpg', 'train/mycar_01.jpg', PHOTO_NAME),
  (f'train/{CAR}_17.jpg', f'train/{CAR}_17.jpg', PHOTO_NAME),
  (f'train/{CAR}_2.jpg', f'train/{CAR}_2.jpg', PHOTO_NAME),
  ('train/0CDF5B5D0CE2_01.jpg', 'train/0CDF5B5D0CE2_01.jpg',
   'train/0CDF5B5D0CE2_01.jpg should be 0cdf5b5d0ce2_01.jpg'),
  ('train/notes.txt', 'train/notes.txt', NO_IMAGE),
  (f'train/{CAR}_02.txt', f'train/{CAR}_02.txt', NO_IMAGE),
  (f'train/{CAR}_02_mask.txt', f'train/{CAR}_02_mask.txt', NO_IMAGE),
  (f'train/{CAR}_02', f'train/{CAR}_02', f'should be {CAR}_02.jpg'),
  ('train/more.ZIP', 'train/more.ZIP', ZIP_INSIDE),
  ('train/more.tar.gz', 'train/more.tar.gz', 'only ZIPs are read; unpack it'),
  (f'train/{CAR}_02.jpg.part', f'train/{CAR}_02.jpg.part', 'unfinished'),
  ('train_masks/rle.csv', 'train_masks/rle.csv', NO_IMAGE),
  ('train_masks/more.zip', 'train_masks/more.zip', ZIP_INSIDE),
  ('test/notes.txt', 'test/notes.txt', NO_IMAGE),
  (f'train/{CAR}_02.PNG', f'train/{CAR}_02.PNG',
   f'photos must be JPG; train/{CAR}_02.PNG should be {CAR}_02.jpg'),
  (f'train/{CAR}_02.heic', f'train/{CAR}_02.heic', 'photos must be JPG'),
  (f'train/{CAR}_02_mask.gif', f'train/{CAR}_02_mask.gif', PLACES),
  (f'train/more/{CAR}_02.jpg', 'train/more/', DEEP),
  ('train_masks/mycar_01_mask.gif', 'train_masks/mycar_01_mask.gif', MASK_NAME),
  (f'train_masks/{CAR}_02.png', f'train_masks/{CAR}_02.png',
   f'{CAR}_02.png should be {CAR}_02_mask.png'),
  (f'train_masks/{CAR}_02_mask.jpg', f'train_masks/{CAR}_02_mask.jpg',
   f'masks must be GIF or PNG, which keep their values 0 and 1; train_masks/'
   f'{CAR}_02_mask.jpg should be {CAR}_02_mask.png'),
  (f'test/{CAR}_02.bmp', f'test/{CAR}_02.bmp', 'photos must be JPG'),
  (f'{CAR}_02.jpg', f'{CAR}_02.jpg', PLACES),
  ('imgs/a.jpg', 'imgs/', PLACES),
  ('train (1)/a.jpg', 'train (1)/', 'its name must be train/'),
  ('a/b/a.jpg', 'a/b/', DEEP),
  ('test (1).zip', 'test (1).zip', 'its name must be test.zip'),
  ('train_masks-2.ZIP', 'train_masks-2.ZIP', 'name must be train_masks.zip'),
  ('metadata.xlsx', 'metadata.xlsx', 'its name must be metadata.csv'),
  ('cars.zip', 'cars.zip', 'or ZIPs of these names'),
  ('train.7z', 'train.7z', 'of archives only ZIPs are read; unpack it'),
  ('train.tar.gz', 'train.tar.gz', 'only ZIPs are read; unpack it'),
  ('test.rar', 'test.rar', 'only ZIPs are read; unpack it'),
  ('test.zip.crdownload', 'test.zip.crdownload', 'an unfinished download'),
  (f'old/train/{CAR}_02.jpg', f'old/train/{CAR}_02.jpg',
   'train/ is used instead'),
)  # fmt: skip


def zipped(members):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return stream.getvalue()


class LeftOutTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def write(self, files):
    for name, data in files.items():
      path = self.root / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(data)

  def left_out(self, files=()):
    """Lines on what is not used of these empty files and a sound pair."""
    self.write(dict.fromkeys((PHOTO, MASK, *files), b''))
    found = archives.find(self.root, unlabeled=True)
    self.assertEqual(str(found.photos[f'{CAR}_01']), PHOTO)
    return found.left_out

  @parameterized.parameters(*CASES)
  def test_is_named_with_the_reason(self, file, named, reason):
    (line,) = self.left_out([file])
    self.assertStartsWith(line, f'1 file is left out ({named}): ')
    self.assertIn(reason, line)

  # Archives are read at any depth.
  @parameterized.parameters(*(case for case in CASES if case[-1] != DEEP))
  def test_in_the_big_archive(self, file, named, reason):
    name = f'{archives.COMPETITION}.zip'
    self.write({name: zipped(dict.fromkeys((PHOTO, MASK, file), b''))})
    (line,) = archives.find(self.root, unlabeled=True).left_out
    self.assertStartsWith(line, f'1 file is left out ({name}:{named}): ')
    self.assertIn(reason.replace('train_masks/0', f'{name}:train_masks/0')
                  .replace('train/0', f'{name}:train/0'), line)  # fmt: skip

  def test_what_the_challenge_has_besides_is_no_news(self):
    extras = (
      'README.md', 'LICENSE', 'sample_submission.csv.zip', 'Thumbs.db',
      'train_masks.csv.zip', '29bb3ece3180_11.jpg', 'train/desktop.ini',
      f'train_hq/{CAR}_01.jpg', '.DS_Store', f'test/{CAR}_02.jpg',
      'doctor/report.csv', 'doctor/suspects.png',
    )  # fmt: skip
    self.assertEmpty(self.left_out(extras))

  def test_many_are_counted(self):
    names = [f'train/car_{i}.jpg' for i in range(5)]
    (line,) = self.left_out(names)
    self.assertStartsWith(
      line,
      '5 files are left out (train/car_0.jpg, train/car_1.jpg, '
      'train/car_2.jpg … and 2 more): ',
    )

  def test_a_name_of_two_lines(self):
    (line,) = self.left_out(['train/a\nb.jpg'])
    self.assertStartsWith(line, r"1 file is left out ('train/a\nb.jpg'): ")

  def test_a_long_name_is_cut(self):
    (line,) = self.left_out([f'train/{"x" * 99}y.jpg'])
    name = f'train/{"x" * 34}…{"x" * 35}y.jpg'
    self.assertStartsWith(line, f'1 file is left out ({name}): ')

  def test_a_folder_of_two_lines(self):
    wrong = left_out.photo(f'a\nb/{CAR}_02.png', f'{CAR}_02.png')
    (line,) = unused_files.lines([wrong])
    self.assertEndsWith(line, rf"; 'a\nb/{CAR}_02.png' should be {CAR}_02.jpg")

  @parameterized.parameters('imgs', 'train/imgs')
  def test_files_of_a_folder_are_counted(self, folder):
    (line,) = self.left_out([f'{folder}/a.jpg', f'{folder}/b.jpg'])
    self.assertStartsWith(line, f'2 files are left out ({folder}/): ')

  def test_links_to_nowhere_and_pipes(self):
    (self.root / 'train').mkdir()
    (self.root / f'train/{CAR}_02.jpg').symlink_to('nowhere')
    os.mkfifo(self.root / f'train/{CAR}_03.jpg')
    (line,) = self.left_out()
    self.assertStartsWith(line, '2 files are left out')
    self.assertIn('a link to nowhere, a pipe or a device', line)

  def test_an_archive_that_has_more_than_the_folder(self):
    more = {PHOTO: b'', f'train/{CAR}_02.jpg': b''}
    self.write({'train.zip': zipped(more), 'train_masks.zip': b'damaged'})
    (line,) = self.left_out()
    self.assertEqual(
      line,
      f'1 file is left out (train.zip:train/{CAR}_02.jpg): train/ is used '
      'instead; put the files into one place',
    )

  def test_a_farther_archive(self):
    self.write({'train.zip': zipped({PHOTO: b''}), MASK: b''})
    self.write({'old/train.zip': zipped({PHOTO: b''})})
    (line,) = archives.find(self.root, unlabeled=True).left_out
    self.assertIn('(old/train.zip): train.zip is used instead', line)

  @parameterized.parameters('train/{}.jpg', 'train/{}.jpeg', 'TRAIN/{}.JFIF')
  def test_taken(self, name):
    self.write({name.format(f'{CAR}_02'): b'', PHOTO: b'', MASK: b''})
    found = archives.find(self.root, unlabeled=False)
    self.assertEqual(sorted(found.photos), [f'{CAR}_01', f'{CAR}_02'])
    self.assertEmpty(found.left_out)

  def test_nothing_of_use(self):
    self.write({'train/car_red_01.jpg': b'', f'train_masks/{CAR}_01.png': b''})
    with self.assertRaises(archives.MissingFilesError) as caught:
      archives.find(self.root, unlabeled=False)
    message = str(caught.exception)
    for words in (
      f'{self.root} has no photos and no masks of the Carvana challenge: 1 file'
      f' is left out (train/car_red_01.jpg): {PHOTO_NAME}',
      f'{CAR}_01.png should be {CAR}_01_mask.png',
    ):
      self.assertIn(words, message)
    self.assertNotIn('\n', message)
    self.assertNotIn('it must hold', message)

  def test_no_folder(self):
    with self.assertRaisesRegex(UserError, 'as it does not exist: it must'):
      archives.find(self.root / 'nowhere', unlabeled=False)
    (self.root / 'train.zip').write_bytes(b'')
    with self.assertRaisesRegex(UserError, 'as it is no folder: it must'):
      archives.find(self.root / 'train.zip', unlabeled=False)


if __name__ == '__main__':
  absltest.main()
