"""Defects planted in folders of made-up cars that turn, and in real ones."""

import collections
import csv
import io
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image
from tensorflow_datasets.core.data_sources import array_record

from carvana_jax.datasets import images, spec
from carvana_jax.datasets.carvana import archives, verify
from carvana_jax.datasets.carvana.carvana_dataset_builder import Builder
from carvana_jax.datasets.diagnosis import (
  file_facts,
  findings,
  pairs,
  report,
  suspects_sheet,
)
from carvana_jax.system.errors import UserError
from tests.datasets.carvana_test import (
  FULL,
  REAL,
  TINY,
  Competition,
  cars_in,
  encode,
  prepare,
  stems,
  write_folders,
  write_zips,
)
from tests.helpers import photo_files

CARS = cars_in('train', 2) + cars_in('test', 1)
CAR, _, TEST_CAR = CARS
STEM = f'{CAR}_05'
PHOTO, MASK = f'{STEM}.jpg', f'{STEM}_mask.gif'


def photo_of(car, view, quality=85, size=TINY, studio=None):
  """A photo unlike all others: bright where the mask is, with a pattern.

  With a studio, photos of the same one have the same pattern.
  """
  seed = 100 * car + view if studio is None else studio
  coarse = np.random.default_rng(seed).integers(0, 80, (16, 24, 3))
  image = Image.fromarray(coarse.astype(np.uint8))
  image = image.resize(size[::-1], Image.Resampling.BICUBIC)
  mask = Image.fromarray(pixels_of_mask(car, view)).resize(size[::-1])
  pixels = np.asarray(image) + 150 * np.asarray(mask)[..., None]
  return encode(Image.fromarray(pixels), 'JPEG', quality=quality)


def pixels_of_mask(car, view):
  """A box, wide from the side, that is not in the turntable's middle."""
  height, width = TINY
  angle = 2 * math.pi * (view - 1) / 16
  size = (1 + 0.05 * car) / 2
  high = round(100 * size)
  wide = round((140 + 100 * math.sin(angle) ** 2) * size)
  mask = np.zeros(TINY, np.uint8)
  middle = height // 2 + round(4 * math.cos(angle))
  centre = width // 2 + round(10 * math.sin(angle))
  mask[middle - high : middle + high, centre - wide : centre + wide] = 1
  return mask


def mask_of(pixels):
  image = Image.fromarray(pixels, 'P')
  image.putpalette([0, 0, 0, 255, 255, 255, 128, 128, 128])
  return encode(image, 'GIF', optimize=False)


def turntable():
  """A sound data set of three cars."""
  made = Competition()
  for number, car in enumerate(CARS):
    for view, stem in enumerate(stems(car), 1):
      made.train[f'{stem}.jpg'] = photo_of(number, view)
      made.train_masks[f'{stem}_mask.gif'] = mask_of(
        pixels_of_mask(number, view)
      )
  return made


# One defect each.


def lose_mask(made):
  del made.train_masks[MASK]


def lose_photo(made):
  del made.train[PHOTO]


def cut_photo(made):
  made.train[PHOTO] = made.train[PHOTO][:-200]


def garble_photo(made):
  made.train[PHOTO] = photo_files.garbled(made.train[PHOTO])


def cut_mask(made):
  made.train_masks[MASK] = made.train_masks[MASK][:-50]


def text_photo(made):
  made.train[PHOTO] = b'<html>Not found</html>'


def empty_file(made):
  made.train_masks[MASK] = b''


def small_photo(made):
  small = Image.open(io.BytesIO(made.train[PHOTO])).resize((192, 128))
  made.train[PHOTO] = encode(small, 'JPEG')


def small_mask(made):
  small = pixels_of_mask(0, 5)[::2, ::2].copy()
  made.train_masks[MASK] = mask_of(small)


def grey_photo(made):
  grey = Image.open(io.BytesIO(made.train[PHOTO])).convert('L')
  made.train[PHOTO] = encode(grey, 'JPEG')


def png_photo(made):
  made.train[PHOTO] = encode(Image.open(io.BytesIO(made.train[PHOTO])), 'PNG')


def colour_mask(made):
  made.train_masks[MASK] = encode(Image.new('RGB', TINY[::-1]), 'PNG')


def third_value(made):
  pixels = pixels_of_mask(0, 5)
  pixels[0, 0] = 2
  made.train_masks[MASK] = mask_of(pixels)


def nothing_in_mask(made):
  made.train_masks[MASK] = mask_of(np.zeros(TINY, np.uint8))


def all_in_mask(made):
  made.train_masks[MASK] = mask_of(np.ones(TINY, np.uint8))


def invert_mask(made):
  made.train_masks[MASK] = mask_of(1 - pixels_of_mask(0, 5))


def move_mask(made):
  moved = np.roll(pixels_of_mask(0, 5), (-20, 40), (0, 1))
  made.train_masks[MASK] = mask_of(moved)


def copy_photo(made):
  made.train[PHOTO] = made.train[f'{CARS[1]}_09.jpg']


def copy_mask(made):
  made.train_masks[MASK] = made.train_masks[f'{CARS[1]}_09_mask.gif']


def leak_photo(made):
  made.train[f'{TEST_CAR}_03.jpg'] = made.train[PHOTO]


def mirror_photo(made):
  mirrored = Image.open(io.BytesIO(made.train[PHOTO]))
  mirrored = mirrored.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
  made.train[f'{TEST_CAR}_03.jpg'] = encode(mirrored, 'JPEG', quality=70)


def leak_mask(made):
  made.train_masks[f'{TEST_CAR}_03_mask.gif'] = made.train_masks[MASK]


def encode_again(made):
  made.train[f'{CARS[1]}_09.jpg'] = photo_of(0, 5, quality=60)
  pixels = pixels_of_mask(0, 5)
  pixels[20, 20] = 1
  made.train_masks[f'{CARS[1]}_09_mask.gif'] = mask_of(pixels)


def lose_view(made):
  lose_mask(made)
  lose_photo(made)


def erase_third(made):
  pixels = pixels_of_mask(0, 5)
  pixels[100:] = 0
  made.train_masks[MASK] = mask_of(pixels)


def shift_mask(made):
  shifted = np.roll(pixels_of_mask(0, 5), 20, axis=1)
  made.train_masks[MASK] = mask_of(shifted)


DEFECTS = (
  (lose_mask, 'photo or mask missing', f'train/{PHOTO}', 'no mask'),
  (lose_photo, 'photo or mask missing', f'train_masks/{MASK}', 'no photo'),
  (cut_photo, 'unreadable', f'train/{PHOTO}', 'truncated'),
  (cut_mask, 'unreadable', f'train_masks/{MASK}', 'truncated'),
  (text_photo, 'unreadable', f'train/{PHOTO}', 'not an image'),
  (empty_file, 'unreadable', f'train_masks/{MASK}', 'empty'),
  (small_photo, 'size', f'train/{PHOTO}', '128 high and 192 wide'),
  (small_mask, 'size', f'train_masks/{MASK}', '128 high and 192 wide'),
  (grey_photo, 'mode', f'train/{PHOTO}', 'L JPEG'),
  (png_photo, 'mode', f'train/{PHOTO}', 'RGB PNG'),
  (colour_mask, 'mode', f'train_masks/{MASK}', 'RGB'),
  (third_value, 'mask values', f'train_masks/{MASK}', 'other values'),
  (nothing_in_mask, 'empty or full mask', f'train_masks/{MASK}', 'empty'),
  (all_in_mask, 'empty or full mask', f'train_masks/{MASK}', 'full'),
  (invert_mask, 'mask of its photo', f'train_masks/{MASK}', 'inverted: 100%'),
  (
    move_mask,
    'mask of its photo',
    f'train_masks/{MASK}',
    'if moved 20 px down, 40 px left',
  ),
  (copy_photo, 'exact duplicate', 'train/', 'the same file'),
  (copy_mask, 'exact duplicate', 'train_masks/', 'the same pixels'),
  (leak_mask, 'exact duplicate', 'train_masks/', 'the same pixels'),
  (leak_photo, 'split leakage', 'train/', 'the same file'),
  (mirror_photo, 'split leakage', 'train/', 'mirrored'),
  (garble_photo, 'wrong bytes', f'train/{PHOTO}', 'Corrupt JPEG data'),
  (encode_again, 'near duplicate', 'train/', 'levels from'),
  (lose_view, 'missing views', CAR, 'no view 5'),
  (erase_third, 'mask area', f'train_masks/{MASK}', 'area'),
  (erase_third, 'neighbouring views', f'train_masks/{MASK}', ''),
  (shift_mask, 'neighbouring views', f'train_masks/{MASK}', 'from the left'),
)
LOOK = (garble_photo, encode_again, lose_view, erase_third, shift_mask)


class DoctorTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.sound = turntable()

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.manual = self.root / 'manual'
    self.made = Competition(
      dict(self.sound.train), dict(self.sound.train_masks)
    )
    self.enterContext(mock.patch.object(Builder, 'PHOTO_SIZE', TINY))

  def examine(self):
    """Findings by the name of their check."""
    collection = pairs.pairs_in_folder(self.manual)
    self.examined = report.examine(collection)
    self.checks = findings.diagnose(self.examined, collection)
    return {x.name: x.findings for x in self.checks if x.findings}

  def prepare(self):
    write_folders(self.made, self.manual)
    builder = prepare(self.manual, self.root / 'data')
    return pathlib.Path(builder.data_path)

  def test_sound_folder(self):
    write_zips(self.made, self.manual)
    self.assertEmpty(self.examine())
    examined = {x.name: x.examined for x in self.checks}
    self.assertEqual(examined['unreadable'], '96 files')
    self.assertEqual(examined['mask of its photo'], '48 masks')
    self.assertEqual(examined['mask area'], '48 masks')
    self.assertEqual(examined['neighbouring views'], '48 masks')

  @parameterized.parameters(*DEFECTS)
  def test_finds(self, spoil, name, file, value):
    spoil(self.made)
    write_folders(self.made, self.manual)
    found = self.examine()
    self.assertLen(found[name], 1)
    self.assertStartsWith(found[name][0].file, file)
    self.assertIn(value, found[name][0].value)
    if name != 'split leakage':
      self.assertNotIn('split leakage', found)
    severities = {x.severity for x in self.checks if x.findings}
    wrong = spoil not in LOOK
    self.assertEqual(findings.WRONG in severities, wrong)
    for line in report.table(self.checks).splitlines():
      self.assertLessEqual(len(line), 80)
    rows = list(csv.DictReader(io.StringIO(report.report(self.checks))))
    self.assertLen(rows, sum(map(len, found.values())))
    self.assertEqual(rows[0]['severity'], 'wrong' if wrong else 'look')
    self.assertTrue(all(all(row.values()) for row in rows))

  def test_a_photo_of_another_studio(self):
    for view, stem in enumerate(stems(CAR), 1):
      studio = 7000 + (view in (5, 6))
      self.made.train[f'{stem}.jpg'] = photo_of(0, view, studio=studio)
    # It shows no car where its mask is: that is told, and nothing more.
    self.made.train_masks[f'{CAR}_06_mask.gif'] = mask_of(
      1 - pixels_of_mask(0, 6)
    )
    write_folders(self.made, self.manual)
    (found,) = self.examine()['same studio']
    self.assertEqual(found.file, f'train/{PHOTO}')
    self.assertEqual(found.expected, 'the studio that 14 of 15 views show')
    check = self.checks[-1]
    self.assertEqual(check.severity, findings.LOOK)
    self.assertEqual(check.examined, '15 photos')

  def test_one_photo_only(self):
    one = {PHOTO: self.made.train[PHOTO]}
    masks = {MASK: self.made.train_masks[MASK]}
    write_folders(Competition(one, masks), self.manual)
    self.assertEqual(list(self.examine()), ['missing views'])

  def test_prepared_data_set(self):
    nothing_in_mask(self.made)
    # The fifth view of each car comes into another split than the others.
    names = ['train'] * 16
    names[4] = 'test'
    splits = iter(names * 3)
    with mock.patch.object(spec, 'split_of', lambda car: next(splits)):
      folder = self.prepare()
    collection = pairs.pairs_in_dataset(folder)
    self.assertTrue(collection.soft)
    self.assertEqual(collection.photo_size, (128, 192))
    self.assertLen(collection.pairs, 48)
    examined = report.examine(collection)
    checks = findings.diagnose(examined, collection)
    found = {x.name: x for x in checks if x.findings}
    self.assertEqual(set(found), {'empty or full mask', 'split leakage'})
    (empty,) = found['empty or full mask'].findings
    self.assertEqual(empty.file, f'test/{STEM}_mask.png')
    leaks = found['split leakage'].findings
    self.assertCountEqual([x.file for x in leaks], CARS)
    self.assertEqual(leaks[0].value, 'in test and train')

  def test_all_of_another_size_than_the_builder_wants(self):
    write_folders(self.made, self.manual)
    with mock.patch.object(Builder, 'PHOTO_SIZE', FULL):
      found = self.examine()
    self.assertEqual(list(found), ['size'])
    self.assertLen(found['size'], 96)
    self.assertEqual(found['size'][0].expected, '1280 high and 1918 wide')

  def test_an_example_is_read_once(self):
    folder = self.prepare()
    kind = array_record.ArrayRecordDataSource
    with mock.patch.object(
      kind, '__getitem__', autospec=True, side_effect=kind.__getitem__
    ) as read:
      report.examine(pairs.pairs_in_dataset(folder))
    places = [(call.args[0].split, call.args[1]) for call in read.mock_calls]
    expected = {('train', i) for i in range(32)}
    expected |= {('test', i) for i in range(16)}
    self.assertEqual(collections.Counter(places), collections.Counter(expected))

  def test_examples_are_not_held(self):
    folder = self.prepare()
    with mock.patch.object(pairs, '_HELD', 4):
      collection = pairs.pairs_in_dataset(folder)
    read = collection.pairs[0].args[0]
    report.examine(collection)
    self.assertEqual(read.cache_info().currsize, 4)

  @parameterized.parameters(
    (lambda data: data[:-100],),
    (lambda data: data[: len(data) // 2],),
    (lambda data: data[:5000] + bytes(5000) + data[10000:],),
    (lambda data: b'',),
  )
  def test_damaged_file_of_a_prepared_data_set(self, damage):
    folder = self.prepare()
    (file,) = folder.glob('*-train.array_record*')
    file.write_bytes(damage(file.read_bytes()))
    with self.assertRaises(UserError) as caught:
      report.examine(pairs.pairs_in_dataset(folder))
    self.assertRegex(
      str(caught.exception),
      f'^{folder} has a damaged file of the split train .+; remove the folder '
      'and prepare it again.$',
    )

  def test_nothing_with_masks(self):
    folder = self.prepare()
    file = folder / 'dataset_info.json'
    info = json.loads(file.read_text())
    info['splits'] = info['splits'][:1]
    info['splits'][0]['name'] = 'unlabeled'
    file.write_text(json.dumps(info))
    with self.assertRaisesRegex(UserError, 'has no masks, only the split unl'):
      pairs.pairs_in_dataset(folder)
    with self.assertRaisesRegex(UserError, 'has no photos and no masks of'):
      pairs.pairs_in_folder(self.root / 'nothing')

  def test_folders_that_are_no_data_set(self):
    with self.assertRaisesRegex(UserError, 'is no prepared data set; give'):
      pairs.pairs_in_dataset(self.root)
    for given in ((None, None), ('a', 'b')):
      with self.assertRaisesRegex(UserError, 'give one of --manual_dir'):
        report.collection_of(*given)

  def test_contact_sheet(self):
    shift_mask(self.made)
    cut_photo(self.made)
    leak_photo(self.made)
    write_folders(self.made, self.manual)
    self.examine()
    cells = report.suspects(self.checks, self.examined)
    self.assertStartsWith(cells[0][1], f'{PHOTO}: image file is truncated')
    collection = pairs.pairs_in_folder(self.manual)
    picture = images.decode_photo(suspects_sheet.draw(cells, collection))
    height, width = suspects_sheet._CELL
    grey = (picture == suspects_sheet._GREY).all(-1)
    top = np.argmax(grey.sum(1) > width / 2)  # letters have grey edges, too
    left = np.argmax(grey.sum(0) > height / 2)
    first = picture[top : top + height, left : left + width]
    drawn = (first == suspects_sheet._OUTLINE).all(-1)
    rows, columns = (np.flatnonzero(drawn.any(axis)) for axis in (1, 0))
    box = pixels_of_mask(0, 5)
    top, left = (np.flatnonzero(box.any(axis))[0] for axis in (1, 0))
    self.assertAlmostEqual(rows[0], top * height / TINY[0], delta=2)
    shifted = (left + 20) * width / TINY[1]
    self.assertAlmostEqual(columns[0], shifted, delta=2)
    # The photo can't be read: all but the outline is grey.
    self.assertTrue((first[~drawn] == suspects_sheet._GREY).all())

  def test_sheet_without_suspects(self):
    write_folders(self.made, self.manual)
    collection = pairs.pairs_in_folder(self.manual)
    unread = [file_facts.Facts(pair(), None, None) for pair in collection.pairs]
    cells = report.suspects([], unread)
    self.assertLen({pair for pair, _ in cells}, suspects_sheet.MOST)
    self.assertLen({pair.car_id for pair, _ in cells[:3]}, 3)

  @parameterized.parameters(
    ({'report.csv': 'id,year\n'},),
    ({'suspects.png': ''},),
    ({'report.csv': '', 'suspects.png': ''},),
  )
  def test_files_of_others_are_not_replaced(self, there):
    for name, text in there.items():
      (self.root / name).write_text(text)
    with self.assertRaisesRegex(UserError, 'did not write; choose another'):
      report.places(self.root)

  def test_what_is_left_out_is_told(self):
    write_folders(self.made, self.manual)
    (self.manual / 'train' / 'mycar_01.jpg').write_bytes(b'')
    (line,) = pairs.pairs_in_folder(self.manual).left_out
    self.assertStartsWith(line, '1 file is left out (train/mycar_01.jpg): ')

  @parameterized.parameters((lose_view, 0), (cut_mask, 1))
  def test_exit_code(self, spoil, code):
    # Of the competition's size, which another process knows.
    self.made = Competition()
    for view, stem in enumerate(stems(CAR, range(4, 7)), 4):
      self.made.train[f'{stem}.jpg'] = photo_of(0, view, size=FULL)
      mask = Image.fromarray(pixels_of_mask(0, view)).resize(FULL[::-1])
      self.made.train_masks[f'{stem}_mask.gif'] = mask_of(np.asarray(mask))
    whole = self.made.train_masks[MASK]
    spoil(self.made)
    write_folders(self.made, self.manual)
    command = [
      sys.executable, '-m', 'carvana_jax.doctor',
      f'--manual_dir={self.manual}', f'--output={self.root / "doctor"}',
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    self.assertEqual(done.returncode, code, done.stderr)
    self.assertEqual('would be wrong' in done.stdout, code == 1)
    files = {path.name for path in (self.root / 'doctor').iterdir()}
    self.assertEqual(files, {'report.csv', 'suspects.png'})
    self.assertNotIn('in place of', done.stdout)
    mended = self.manual / 'train_masks' / MASK
    if mended.exists():
      mended.write_bytes(whole)
    again = subprocess.run(command, capture_output=True, text=True)
    self.assertEqual(again.returncode, 0, again.stderr)
    self.assertIn('report.csv, in place of earlier ones', again.stdout)
    rows = (self.root / 'doctor' / 'report.csv').read_text()
    self.assertIn('missing views', rows)
    self.assertNotIn('unreadable', rows)


@unittest.skipUnless(REAL.is_dir(), f'{REAL} is absent')
class RealPhotosTest(absltest.TestCase):
  """Six cars of the real data, of `train`, on which thresholds were chosen."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    found = archives.find(REAL, unlabeled=False)
    cars = sorted({stem.split('_')[0] for stem in found.photos})
    cls.cars = [car for car in cars if spec.split_of(car) == 'train'][:6]
    cls.files = found
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )

  def mask(self, car, view):
    return verify.decode_mask(
      self.files.masks[spec.photo_name(car, view)].read()
    )

  def test_planted_errors_are_found(self):
    shifted = np.roll(self.mask(self.cars[1], 4), 60, axis=1)
    erased = self.mask(self.cars[2], 9)
    columns = np.flatnonzero(erased.any(0))
    erased[:, columns[2 * len(columns) // 3] :] = 0
    other = self.mask(self.cars[3], 2)
    planted = {
      spec.photo_name(self.cars[1], 4): shifted,
      spec.photo_name(self.cars[2], 9): erased,
      spec.photo_name(self.cars[3], 12): other,
    }
    for name in ('train', 'train_masks'):
      (self.root / name).mkdir()
    for stem in self.files.photos:
      if stem.split('_')[0] in self.cars:
        photo, mask = self.files.photos[stem], self.files.masks[stem]
        data = mask.read()
        if stem in planted:
          data = mask_of(planted[stem] // 255)
        (self.root / photo.path).write_bytes(photo.read())
        (self.root / mask.path).write_bytes(data)
    collection = pairs.pairs_in_folder(self.root)
    checks = findings.diagnose(report.examine(collection), collection)
    found = {x.name: x.findings for x in checks if x.findings}
    named = [
      spec.photo_name(x.pair.car_id, x.pair.view)
      for x in found['neighbouring views']
    ]
    self.assertContainsSubset(planted, named)
    self.assertLessEqual(len(named), 6)
    self.assertLen(found['exact duplicate'], 1)  # the copied mask
    self.assertNotIn('near duplicate', found)


if __name__ == '__main__':
  absltest.main()
