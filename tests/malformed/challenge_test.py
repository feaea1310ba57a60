"""Photos and masks to train on that are not the challenge's."""

import csv
import os
import struct

from absl.testing import absltest
from PIL import Image

from tests.malformed import command
from tests.malformed.case import (
  CAR,
  FULL,
  Case,
  CaseTest,
  encoded,
  full_mask,
  full_photo,
  gradient,
  named,
  write,
)
from tests.malformed.photos_test import black_png, large_jpg

PHOTO, MASK = f'train/{CAR}_02.jpg', f'train_masks/{CAR}_02_mask.gif'
TEST = 'test/ffffffffff01_01.jpg'
AGAIN = 'download it again or remove it'
TRAIN = (
  'main --config={configs}/default.py --workdir=run'
  ' --config.data.data_dir=data --config.data.manual_dir=manual'
)
SIZE = FULL[::-1]  # width and height, as Pillow has it


def manual(**files):
  """Two pairs, of which some files are others, by name; None: left out."""

  def make(root):
    whole = {
      f'train/{CAR}_01.jpg': full_photo(),
      f'train_masks/{CAR}_01_mask.gif': full_mask(),
      PHOTO: full_photo(),
      MASK: full_mask(),
    }
    for name, data in (whole | files).items():
      if data is not None:
        write(root, f'manual/{name}', data)

  return make


def frames(count):
  """An animation."""
  first = Image.new('P', SIZE, 0)
  others = [Image.new('P', SIZE, 1) for _ in range(count - 1)]
  return encoded(first, 'GIF', save_all=True, append_images=others)


def large_gif(width, height):
  """A GIF of a few bytes whose header and frame tell this size."""
  data = bytearray(encoded(Image.new('P', (16, 16)), 'GIF'))
  data[6:10] = struct.pack('<HH', width, height)
  at = data.index(b',', 13)
  data[at + 5 : at + 9] = struct.pack('<HH', width, height)
  return bytes(data)


JPG, GIF = full_photo(), full_mask()
# Of a single file: title, its bytes, what is said of it.
PHOTOS = (
  ('empty', b'', 'is empty'),
  ('half', JPG[: len(JPG) // 2], 'truncated'),
  ('page', b'<html>Not found</html>', 'is not an image'),
  ('gif', encoded(Image.new('RGB', SIZE), 'GIF'), 'not an RGB JPEG'),
  ('png', encoded(Image.new('RGB', SIZE), 'PNG'), 'it is a RGB PNG'),
  ('in_inks', encoded(Image.new('CMYK', SIZE), 'JPEG'), 'it is a CMYK JPEG'),
  ('grey', encoded(Image.new('L', SIZE), 'JPEG'), 'it is a L JPEG'),
  ('of_one_pixel', encoded(gradient((1, 1)), 'JPEG'),
   'the size is 1x1, not 1918x1280'),
  ('turned', encoded(gradient(SIZE), 'JPEG'),
   'the size is 1280x1918, not 1918x1280'),
  ('bomb', large_jpg(30_000, 30_000), 'more than 200 megapixels'),
  ('of_10000_pixels', large_jpg(10_000, 10_000), 'the size is 10000x10000'),
)  # fmt: skip
MASKS = (
  ('empty', b'', 'is empty'),
  ('half', GIF[: len(GIF) // 2], 'truncated'),
  ('page', b'<html>Not found</html>', 'is not an image'),
  ('jpg', encoded(gradient(FULL), 'JPEG'), 'the mode is RGB'),
  ('grey', encoded(gradient(FULL).convert('L'), 'PNG'),
   'values other than 0 and 1'),
  ('of_16_bits', encoded(Image.new('I;16', SIZE), 'PNG'), 'the mode is I;16'),
  ('of_floats', encoded(Image.new('F', SIZE, float('nan')), 'TIFF'),
   'the mode is F'),
  ('transparent', encoded(Image.new('LA', SIZE), 'PNG'), 'the mode is LA'),
  ('animation', frames(3), 'several frames'),
  ('of_one_pixel', encoded(Image.new('P', (1, 1)), 'GIF'),
   'the size is 1x1, not 1918x1280'),
  ('turned', encoded(Image.new('P', FULL), 'GIF'), 'the size is 1280x1918'),
  ('bomb', large_gif(30_000, 30_000), 'more than 200 megapixels'),
  ('png_bomb', black_png(30_000, 30_000), 'more than 200 megapixels'),
  ('of_10000_pixels', black_png(10_000, 10_000), 'the size is 10000x10000'),
)  # fmt: skip


def link_to_nowhere(root):
  manual(**{PHOTO: None})(root)
  (root / 'manual' / PHOTO).symlink_to('nowhere.jpg')


def folder_for_a_photo(root):
  manual(**{PHOTO: None})(root)
  (root / 'manual' / PHOTO).mkdir()


def pipe(root):
  manual(**{PHOTO: None})(root)
  os.mkfifo(root / 'manual' / PHOTO)


def file_of_100_gib(root):
  manual()(root)
  os.truncate(root / 'manual' / PHOTO, 100 * 2**30)


def other_names(root):
  write(root, 'manual/train/my car.jpg', JPG)
  write(root, 'manual/train_masks/my car_mask.gif', GIF)


LONELY_PHOTO = 'mask missing for', PHOTO, 'or remove the photo'
LONELY_MASK = 'photo missing for', MASK, 'or remove the mask'
OTHERS = [
  Case('photo_of_100_GiB', file_of_100_gib, TRAIN,
       (PHOTO, 'has 100.0 GiB', AGAIN)),
  Case('photo_alone', manual(**{MASK: None}), TRAIN, LONELY_PHOTO),
  Case('photo_of_a_broken_link', link_to_nowhere, TRAIN, LONELY_MASK),
  Case('photo_of_a_folder', folder_for_a_photo, TRAIN, LONELY_MASK),
  Case('photo_of_a_pipe', pipe, TRAIN, LONELY_MASK),
  Case('photos_of_other_names', other_names, TRAIN,
       ('has no photos and no masks', '1 file is left out (train/my car.jpg)',
        'must be named CAR_VIEW_mask.gif or .png')),
  Case('photo_to_predict_cut', manual(**{TEST: JPG[:-2000]}),
       f'{TRAIN} --config.data.unlabeled=True', (TEST, 'truncated', AGAIN)),
  Case('mask_alone', manual(**{PHOTO: None}), TRAIN, LONELY_MASK),
  Case('mask_in_two_forms', manual(**{MASK.replace('.gif', '.png'):
         encoded(Image.new('1', SIZE), 'PNG')}), TRAIN,
       (MASK, MASK.replace('.gif', '.png'), 'remove one of them')),
]  # fmt: skip
CASES = [
  *(
    Case(f'{kind}_{title}', manual(**{name: data}), TRAIN, (name, said, AGAIN))
    for kind, name, files in (('photo', PHOTO, PHOTOS), ('mask', MASK, MASKS))
    for title, data, said in files
  ),
  *OTHERS,
]


class ChallengeTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  def test_a_folder_with_blanks_and_accents(self):
    manual()(self.root)
    (self.root / 'manual').rename(self.root / 'die Fotos, süß’ 車')
    result = command.run(
      self.root, 'doctor', '--manual_dir=die Fotos, süß’ 車', '--output=da drin'
    )
    self.assertEqual(result.errors, '')
    self.assertIn('da drin/report.csv', result.output)
    report = (self.root / 'da drin' / 'report.csv').read_text()
    self.assertIn('the same file as', report)  # both pairs are equal

  def test_doctor_lists_all_of_them(self):
    folder = self.root / 'manual'
    for view in range(1, 1 + len(MASKS)):
      write(folder, f'train/{CAR}_{view:02}.jpg', JPG)
      write(folder, f'train_masks/{CAR}_{view:02}_mask.gif', GIF)
    bad = {}
    for kind, ending, files in (
      ('train', '.jpg', PHOTOS), ('train_masks', '_mask.gif', MASKS)
    ):  # fmt: skip
      for view, (title, data, _) in enumerate(files, 1):
        name = f'{kind}/{CAR}_{view:02}{ending}'
        write(folder, name, data)
        bad[name] = title
    result = self.run_command('doctor --manual_dir=manual --output=found')
    self.assertEqual((result.code, result.errors), (1, ''))
    self.assertIn('training on these data would be wrong', result.output)
    with (self.root / 'found' / 'report.csv').open() as file:
      wrong = {
        row['file']
        for row in csv.DictReader(file)
        if row['check'] in ('unreadable', 'size', 'mode', 'mask values')
      }
    self.assertEqual(wrong, bad.keys())


if __name__ == '__main__':
  absltest.main()
