"""The builder `carvana`, on made-up cars in every form of the archives."""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import stat
import tempfile
import unittest
import zipfile
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized
from PIL import Image, ImageDraw

from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import archives, kaggle, verify
from carvana_jax.datasets.carvana.carvana_dataset_builder import Builder
from carvana_jax.system.errors import UserError
from tests.helpers import photo_files

REAL = pathlib.Path(__file__).parents[2].parent / 'shared' / 'carvana'
TINY = (256, 384)  # twice 128x192, so that areas are whole pixels
FULL = (1280, 1918)
HEADER = '"id","year","make","model","trim1","trim2"\n'


def cars_in(split, count):
  """The first `count` made-up car ids that belong to a split."""
  ids = (hashlib.sha1(str(i).encode()).hexdigest()[:12] for i in range(1000))
  return [car for car in ids if spec.split_of(car) == split][:count]


TRAIN, OTHER = cars_in('train', 2)
VALIDATION, *_ = cars_in('validation', 1)
HELD_OUT, *_ = cars_in('test', 1)
UNLABELED = 'ffffffffff01'


def stems(car, views=range(1, 17)):
  return [f'{car}_{view:02d}' for view in views]


def encode(image, kind, **options):
  stream = io.BytesIO()
  image.save(stream, kind, **options)
  return stream.getvalue()


def render(stem, size):
  """A made-up photo (JPG) and its mask (GIF with a palette, 0 and 1)."""
  height, width = size
  seed = int(hashlib.md5(stem.encode()).hexdigest()[:8], 16)
  rng = np.random.default_rng(seed)
  left, top = rng.integers(5, [width // 4, height // 4])
  right, bottom = rng.integers([width // 2, height // 2], [width, height])
  box = (int(left), int(top), int(right), int(bottom))
  mask = Image.new('P', (width, height), 0)
  mask.putpalette([0, 0, 0, 255, 255, 255])
  ImageDraw.Draw(mask).ellipse(box, fill=1)
  photo = Image.new('RGB', (width, height), (200, 200, 205))
  color = tuple(int(value) for value in rng.integers(0, 150, 3))
  ImageDraw.Draw(photo).ellipse(box, fill=color)
  return encode(photo, 'JPEG', quality=80), encode(mask, 'GIF')


@dataclasses.dataclass
class Competition:
  """File names and their bytes, by folder."""

  train: dict[str, bytes] = dataclasses.field(default_factory=dict)
  train_masks: dict[str, bytes] = dataclasses.field(default_factory=dict)
  test: dict[str, bytes] = dataclasses.field(default_factory=dict)
  metadata: bytes = b''

  def folders(self):
    names = ('train', 'train_masks', 'test')
    return {name: getattr(self, name) for name in names if getattr(self, name)}


def compete(labelled, unlabeled=(), size=TINY):
  """The competition with these photos, given by their stems."""
  made = Competition()
  for stem in labelled:
    photo, mask = render(stem, size)
    made.train[f'{stem}.jpg'] = photo
    made.train_masks[f'{stem}_mask.gif'] = mask
  for stem in unlabeled:
    made.test[f'{stem}.jpg'] = render(stem, size)[0]
  row = f'"{TRAIN}","2014","Land Rover, Ltd","TL","TL","w/SE"\n'
  made.metadata = (HEADER + row).encode()
  return made


# The forms in which users have the files.


def write_folders(made, root, suffix=''):
  for name, files in made.folders().items():
    hq = suffix if name != 'train_masks' else ''
    folder = root / f'{name}{hq}'
    folder.mkdir(parents=True)
    for file, data in files.items():
      (folder / file).write_bytes(data)
  if made.metadata:
    (root / 'metadata.csv').write_bytes(made.metadata)


def zip_bytes(members, method=zipfile.ZIP_STORED):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', method) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return stream.getvalue()


def zips(made, suffix=''):
  """The archives as Kaggle serves them: name -> bytes."""
  archives = {}
  for name, files in made.folders().items():
    full = name + (suffix if name != 'train_masks' else '')
    members = {f'{full}/{file}': data for file, data in files.items()}
    archives[f'{full}.zip'] = zip_bytes(members, zipfile.ZIP_DEFLATED)
  if made.metadata:
    archives['metadata.csv.zip'] = zip_bytes({'metadata.csv': made.metadata})
  return archives


def write_zips(made, root, suffix=''):
  root.mkdir(parents=True, exist_ok=True)
  for name, data in zips(made, suffix).items():
    (root / name).write_bytes(data)


def write_hq_folders(made, root):
  write_folders(made, root, '_hq')


def write_hq_zips(made, root):
  write_zips(made, root, '_hq')


def write_deeper(made, root):
  write_folders(made, root / 'carvana-image-masking-challenge')


def write_one_folder_too_many(made, root):
  for name, files in made.folders().items():
    (root / name / name).mkdir(parents=True)
    for file, data in files.items():
      (root / name / name / file).write_bytes(data)
  (root / 'metadata.csv').write_bytes(made.metadata)


def write_big_zip(members, root):
  root.mkdir(parents=True, exist_ok=True)
  data = zip_bytes(members, zipfile.ZIP_DEFLATED)
  (root / 'carvana-image-masking-challenge.zip').write_bytes(data)


def write_big_zip_of_zips(made, root):
  write_big_zip(zips(made), root)


def write_big_zip_of_folders(made, root):
  members = {
    f'{name}/{file}': data
    for name, files in made.folders().items()
    for file, data in files.items()
  }
  write_big_zip({**members, 'metadata.csv': made.metadata}, root)


def write_zips_with_backslashes(made, root):
  root.mkdir(parents=True)
  for name, files in made.folders().items():
    members = {f'{name}\\{file}': data for file, data in files.items()}
    (root / f'{name}.zip').write_bytes(zip_bytes({f'{name}\\': b'', **members}))
  (root / 'metadata.csv').write_bytes(made.metadata)


def write_files_with_backslashes(made, root):
  """As tools that know nothing of Windows unpack such ZIPs."""
  root.mkdir(parents=True)
  for name, files in made.folders().items():
    for file, data in files.items():
      (root / f'{name}\\{file}').write_bytes(data)
  (root / 'metadata.csv').write_bytes(made.metadata)


def write_upper_case(made, root):
  for name, files in made.folders().items():
    (root / name.upper()).mkdir(parents=True)
    for file, data in files.items():
      stem, dot, ending = file.partition('.')
      path = root / name.upper() / f'{stem}{dot}{ending.upper()}'
      path.write_bytes(data)
  (root / 'METADATA.CSV').write_bytes(made.metadata)


def write_zips_with_litter(made, root):
  write_zips(made, root)
  for name, files in made.folders().items():
    file, data = next(iter(files.items()))
    with zipfile.ZipFile(root / f'{name}.zip', 'a') as archive:
      archive.writestr(f'__MACOSX/{name}/{file}', b'litter')
      archive.writestr(f'{name}/._{file}', b'litter')
      archive.writestr(f'{name}/.hidden/{file}', data)
      archive.writestr(f'{name}/Thumbs.db', b'litter')


FORMS = (
  write_folders,
  write_zips,
  write_hq_folders,
  write_hq_zips,
  write_deeper,
  write_one_folder_too_many,
  write_big_zip_of_zips,
  write_big_zip_of_folders,
  write_zips_with_litter,
  write_zips_with_backslashes,
  write_files_with_backslashes,
  write_upper_case,
)


def prepare(manual_dir, data_dir, config='128x192', fetch=False, **options):
  if fetch:
    kaggle.fetch_if_missing(manual_dir)
  builder = Builder(
    config=config, data_dir=data_dir, file_format='array_record', **options
  )
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
  )
  return builder


def read(builder):
  """split -> stem -> example."""
  return {
    split: {
      example['filename'].decode().removesuffix('.jpg'): example
      for example in builder.as_data_source(split=split)
    }
    for split in builder.info.splits
  }


def pixels_of(data):
  """Pillow's pixels; of an image with a palette, its indices."""
  return np.asarray(Image.open(io.BytesIO(data)))


def halve(pixels):
  """[2H, 2W, ...] -> means of 2x2 pixels, float [H, W, ...]."""
  quarters = [pixels[y::2, x::2] for y in (0, 1) for x in (0, 1)]
  return np.mean(np.asarray(quarters, np.float64), axis=0)


class FolderTest(parameterized.TestCase):
  """Gives each test a manual folder and a data folder of its own."""

  SIZE = TINY

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.manual = self.root / 'manual'
    self.data = self.root / 'data'
    self.enterContext(mock.patch.object(Builder, 'PHOTO_SIZE', self.SIZE))

  def assert_nothing_prepared(self):
    self.assertFalse(self.data.exists())

  def assert_refused(self, *parts, **options):
    """Expects a `UserError` of one line that names these parts."""
    with self.assertRaises(UserError) as caught:
      prepare(self.manual, self.data, **options)
    message = str(caught.exception)
    for part in parts:
      self.assertIn(part, message)
    self.assertNotIn('\n', message)
    self.assert_nothing_prepared()


class TfdsTest(tfds.testing.DatasetBuilderTestCase):
  """What TFDS asks of every builder."""

  DATASET_CLASS = Builder
  SKIP_CHECKSUMS = True
  BUILDER_CONFIG_NAMES_TO_TEST = ['128x128', '128x192']  # noqa: RUF012
  SPLITS = {'train': 32, 'validation': 16, 'test': 16, 'unlabeled': 16}  # noqa: RUF012

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.enterClassContext(mock.patch.object(Builder, 'PHOTO_SIZE', TINY))
    cars = [TRAIN, OTHER, VALIDATION, HELD_OUT]
    labelled = [stem for car in cars for stem in stems(car)]
    made = compete(labelled, stems(UNLABELED))
    write_folders(made, pathlib.Path(cls.EXAMPLE_DIR))
    super().setUpClass()

  def test_name(self):
    self.assertEqual(Builder.name, 'carvana')


class FormsTest(FolderTest):
  @parameterized.parameters(*FORMS)
  def test_every_form_gives_the_same_examples(self, write):
    labelled = [*stems(TRAIN, (1, 2)), *stems(HELD_OUT, (16,))]
    made = compete(labelled, stems(UNLABELED, (3,)))
    write(made, self.manual)
    temporary = self.root / 'temporary'
    temporary.mkdir()
    with mock.patch.object(tempfile, 'tempdir', str(temporary)):
      examples = read(prepare(self.manual, self.data))
    self.assertEmpty([p for p in temporary.rglob('*') if p.is_file()])
    self.assertEqual(
      {split: sorted(found) for split, found in examples.items()},
      {
        'train': stems(TRAIN, (1, 2)),
        'test': stems(HELD_OUT, (16,)),
        'unlabeled': stems(UNLABELED, (3,)),
      },
    )
    for split, found in examples.items():
      for stem, example in found.items():
        self.assert_is(example, stem, labelled=split != 'unlabeled')

  def assert_is(self, example, stem, labelled):
    car, view = stem.split('_')
    known = (b'2014', b'Land Rover, Ltd', b'TL', b'TL w/SE')
    texts = tuple(example[key] for key in ('year', 'make', 'model', 'trim'))
    self.assertEqual(texts, known if car == TRAIN else (b'',) * 4)
    self.assertEqual(example['car_id'], car.encode())
    self.assertEqual(example['view'], int(view))
    digest = hashlib.md5(f'fold:{car}'.encode()).hexdigest()
    self.assertEqual(example['fold'], int(digest, 16) % 10)
    photo, mask = map(pixels_of, render(stem, TINY))
    expected = halve(mask[..., None] * 255.0) * labelled
    # Rows and columns are averaged one after the other, and rounded twice.
    np.testing.assert_allclose(example['image'], halve(photo), atol=1)
    np.testing.assert_allclose(example['mask'], expected, atol=1)

  def test_plain_photos_are_preferred_to_hq(self):
    made = compete(stems(TRAIN, (1,)))
    write_zips(made, self.manual)
    write_hq_folders(Competition(train=made.train), self.manual)
    found = archives.find(self.manual, unlabeled=True)
    (photo,) = found.photos.values()
    self.assertEqual(str(photo), f'train.zip:train/{TRAIN}_01.jpg')
    self.assertEqual(photo.read(), made.train[f'{TRAIN}_01.jpg'])

  def test_names_in_nested_archives(self):
    write_big_zip_of_zips(compete(stems(TRAIN, (1,))), self.manual)
    found = archives.find(self.manual, unlabeled=True)
    self.assertEqual(
      str(found.masks[f'{TRAIN}_01']),
      'carvana-image-masking-challenge.zip:train_masks.zip:'
      f'train_masks/{TRAIN}_01_mask.gif',
    )

  def test_png_masks_with_255(self):
    made = compete(stems(TRAIN, (1,)))
    values = pixels_of(made.train_masks.popitem()[1]) * np.uint8(255)
    png = encode(Image.fromarray(values), 'PNG')
    made.train_masks[f'{TRAIN}_01_mask.png'] = png
    write_folders(made, self.manual)
    (example,) = read(prepare(self.manual, self.data))['train'].values()
    np.testing.assert_allclose(example['mask'][..., 0], halve(values), atol=1)

  def test_members_that_lead_outside_write_nothing(self):
    made = compete(stems(TRAIN, (1, 2)))
    write_zips(made, self.manual)
    evil = render('evil', TINY)[0]
    with zipfile.ZipFile(self.manual / 'train.zip', 'a') as archive:
      archive.writestr('../evil.jpg', evil)
      archive.writestr(f'../../train/{TRAIN}_03.jpg', evil)
      archive.writestr(f'{self.root}/outside/evil.jpg', evil)
    builder = prepare(self.manual, self.data)
    self.assertLen(read(builder)['train'], 2)
    self.assertEqual({p.name for p in self.root.iterdir()}, {'manual', 'data'})
    self.assertEmpty(list(self.root.rglob('*evil*')))
    self.assertLen(list(self.manual.iterdir()), 3)

  def test_fingerprint(self):
    made = compete(stems(TRAIN, (1,)), stems(UNLABELED, (1,)))
    write_folders(made, self.manual)
    write_zips(made, self.root / 'zips')
    mark = archives.fingerprint(archives.find(self.manual, unlabeled=True))
    self.assertRegex(mark, '^[0-9a-f]{8}$')
    packed = archives.find(self.root / 'zips', unlabeled=True)
    self.assertEqual(archives.fingerprint(packed), mark)

    fewer = archives.find(self.manual, unlabeled=False)
    self.assertNotEqual(archives.fingerprint(fewer), mark)
    for path in ('train', 'train_masks', 'test'):
      (file,) = (self.manual / path).iterdir()
      data = file.read_bytes()
      file.write_bytes(data + b'0')
      changed = archives.find(self.manual, unlabeled=True)
      self.assertNotEqual(archives.fingerprint(changed), mark, path)
      file.write_bytes(data)
    (self.manual / 'metadata.csv').write_text(HEADER)
    changed = archives.find(self.manual, unlabeled=True)
    self.assertNotEqual(archives.fingerprint(changed), mark)


class OriginalSizeTest(FolderTest):
  SIZE = FULL

  def test_photo_is_stored_byte_for_byte(self):
    made = compete(stems(TRAIN, (1, 2)), size=FULL)
    write_zips(made, self.manual)
    builder = prepare(self.manual, self.data, '1280x1918')
    raw = {'image': tfds.decode.SkipDecoding()}
    rows = builder.as_data_source(split='train', decoders=raw)
    self.assertLen(rows, 2)
    for row in rows:
      name = row['filename'].decode()
      self.assertEqual(row['image'], made.train[name])
      mask = made.train_masks[name.replace('.jpg', '_mask.gif')]
      indices = pixels_of(mask)
      np.testing.assert_array_equal(row['mask'][..., 0], indices * 255)

  def test_other_sizes_are_refused(self):
    write_folders(compete(stems(TRAIN, (1,))), self.manual)
    self.assert_refused(
      f'train/{TRAIN}_01.jpg', '384x256, not 1918x1280', config='1280x1918'
    )


class AnySizeTest(FolderTest):
  def test_pixels_are_means_over_areas(self):
    made = compete(stems(TRAIN, [1]))
    write_folders(made, self.manual)
    (example,) = read(prepare(self.manual, self.data, '100x100'))[
      'train'
    ].values()
    photo = pixels_of(made.train[f'{TRAIN}_01.jpg'])
    mask = 255.0 * pixels_of(made.train_masks[f'{TRAIN}_01_mask.gif'])
    rows, columns = (weights(length, 100) for length in TINY)
    for name, whole in ('image', photo), ('mask', mask[..., None]):
      expected = np.einsum(
        'ai,bj,ijc->abc', rows, columns, whole, optimize=True
      )
      self.assertEqual(example[name].shape, expected.shape)
      self.assertLess(np.abs(example[name] - expected).max(), 1.01)


def weights(before, after):
  """What each pixel of a line of `before` adds to each of `after`, [a, b]."""
  ends = np.linspace(0, before, after + 1)[:, None]
  places = np.arange(before)
  low = np.maximum(ends[:-1], places)
  high = np.minimum(ends[1:], places + 1)
  return np.clip(high - low, 0, None) * after / before


class SeveralSizesTest(FolderTest):
  def test_files_are_checked_once(self):
    write_folders(compete(stems(TRAIN, (1, 2))), self.manual)
    with mock.patch.object(
      verify, 'verify_files', wraps=verify.verify_files
    ) as check:
      prepare(self.manual, self.data)
      after = read(prepare(self.manual, self.data, '64x96'))['train']
      self.assertEqual(check.call_count, 1)
      checked = read(prepare(self.manual, self.root / 'b', '64x96'))['train']
      self.assertEqual(check.call_count, 2)
    for stem, example in checked.items():
      np.testing.assert_array_equal(after[stem]['mask'], example['mask'])


class SplitsTest(FolderTest):
  def test_cars_stay_whole_and_stay_put_when_others_come(self):
    few = [TRAIN, VALIDATION, HELD_OUT]
    more = [*few, *cars_in('train', 4)[2:], *cars_in('test', 2)[1:]]
    splits = []
    for cars in (few, more):
      manual = self.root / f'manual{len(cars)}'
      labelled = [stem for car in cars for stem in stems(car)]
      write_folders(compete(labelled), manual)
      splits.append(read(prepare(manual, self.root / f'data{len(cars)}')))
    before, after = splits
    for split, car in zip(('train', 'validation', 'test'), few, strict=True):
      self.assertEqual(sorted(before[split]), stems(car))
      self.assertContainsSubset(before[split], after[split])
    homes = {}
    for split, found in after.items():
      for stem in found:
        homes.setdefault(stem.split('_')[0], []).append(split)
    self.assertEqual(set(homes), set(more))
    for car, named in homes.items():
      self.assertEqual(named, [named[0]] * 16, car)

  def test_splits_without_cars_are_left_out(self):
    write_folders(compete(stems(VALIDATION, (1,))), self.manual)
    builder = prepare(self.manual, self.data)
    self.assertEqual(list(builder.info.splits), ['validation'])

  def test_unlabeled_can_be_left_out(self):
    write_folders(compete(stems(TRAIN, (1,))), self.manual)
    (self.manual / 'test.zip').write_bytes(b'never opened')
    builder = prepare(self.manual, self.data, unlabeled=False)
    self.assertEqual(list(builder.info.splits), ['train'])

  def test_unlabeled_photos_have_no_mask_whatever_their_name(self):
    same = stems(TRAIN, (1,))
    write_folders(compete(same, same), self.manual)
    examples = read(prepare(self.manual, self.data))
    self.assertEqual(examples['train'][same[0]]['mask'].max(), 255)
    self.assertEqual(examples['unlabeled'][same[0]]['mask'].max(), 0)

  def test_incomplete_cars_are_named(self):
    labelled = stems(TRAIN, range(1, 16)) + stems(OTHER)
    write_folders(compete(labelled), self.manual)
    with self.assertLogs('absl', 'WARNING') as logs:
      builder = prepare(self.manual, self.data)
    self.assertEqual(builder.info.splits['train'].num_examples, 31)
    (warning,) = [line for line in logs.output if 'views' in line]
    self.assertIn(f'{TRAIN} (15 views)', warning)
    self.assertNotIn(OTHER, warning)

  def test_many_incomplete_cars_are_counted(self):
    cars = cars_in('train', 7)
    labelled = [stem for car in cars for stem in stems(car, (4,))]
    write_folders(compete(labelled), self.manual)
    with self.assertLogs('absl', 'WARNING') as logs:
      found = archives.find(self.manual, unlabeled=True)
      verify.verify_files(found, *TINY, bytes)
    (line,) = logs.output
    self.assertEqual(sum(f'{car} (1 views)' in line for car in cars), 5)
    self.assertIn('and 2 more', line)


class MetadataTest(FolderTest):
  def texts(self):
    (example,) = read(prepare(self.manual, self.data))['train'].values()
    return [example[key] for key in ('year', 'make', 'model', 'trim')]

  def test_absent(self):
    made = compete(stems(TRAIN, (1,)))
    made.metadata = b''
    write_folders(made, self.manual)
    self.assertEqual(self.texts(), [b''] * 4)

  def test_with_a_bom_and_without_the_second_trim(self):
    made = compete(stems(TRAIN, (1,)))
    row = f'"{TRAIN}","2016","Kia","Soul","Base",""\r\n'
    made.metadata = (HEADER.strip() + '\r\n' + row).encode('utf-8-sig')
    write_folders(made, self.manual)
    self.assertEqual(self.texts(), [b'2016', b'Kia', b'Soul', b'Base'])

  @parameterized.parameters(
    b'id,year\n1,2\n',  # columns are missing
    (HEADER + 'short,2014\n').encode(),  # values are missing
    (HEADER + '"').encode(),  # a quote that is not closed
  )
  def test_something_else(self, data):
    made = compete(stems(TRAIN, (1,)))
    made.metadata = data
    write_folders(made, self.manual)
    self.assert_refused('metadata.csv is not a table of id,year')

  @parameterized.parameters(('latin-1', 2), ('utf-16', 1))
  def test_saved_by_a_spreadsheet(self, encoding, line):
    made = compete(stems(TRAIN, (1,)))
    text = f'{HEADER}{TRAIN},2012,Citro\u00ebn,C4,,\r\n'
    made.metadata = text.encode(encoding)
    write_folders(made, self.manual)
    self.assert_refused(
      f'metadata.csv is not UTF-8 (line {line}); save it as UTF-8'
    )


def lose_mask(made):
  del made.train_masks[f'{TRAIN}_02_mask.gif']


def lose_photo(made):
  del made.train[f'{TRAIN}_02.jpg']


def empty_photo(made):
  made.train[f'{TRAIN}_02.jpg'] = b''


def cut_photo(made):
  data = made.train[f'{TRAIN}_02.jpg']
  made.train[f'{TRAIN}_02.jpg'] = data[:-200]


def text_photo(made):
  made.train[f'{TRAIN}_02.jpg'] = b'<html>Not found</html>'


def png_photo(made):
  made.train[f'{TRAIN}_02.jpg'] = encode(Image.new('RGB', (384, 256)), 'PNG')


def turn_photo(made):
  made.train[f'{TRAIN}_02.jpg'] = render('turned', (384, 256))[0]


def turn_by_exif(made):
  exif = Image.Exif()
  exif[274] = 3  # upside down, so the size is as it should be
  photo = Image.open(io.BytesIO(made.train[f'{TRAIN}_02.jpg']))
  made.train[f'{TRAIN}_02.jpg'] = encode(photo, 'JPEG', exif=exif)


def empty_mask(made):
  made.train_masks[f'{TRAIN}_02_mask.gif'] = b''


def cut_mask(made):
  data = made.train_masks[f'{TRAIN}_02_mask.gif']
  made.train_masks[f'{TRAIN}_02_mask.gif'] = data[:-50]


def small_mask(made):
  made.train_masks[f'{TRAIN}_02_mask.gif'] = render('small', (128, 192))[1]


def third_value_in_mask(made):
  mask = Image.open(io.BytesIO(made.train_masks[f'{TRAIN}_02_mask.gif']))
  mask.putpalette([0, 0, 0, 255, 255, 255, 128, 128, 128])
  mask.putpixel((0, 0), 2)
  made.train_masks[f'{TRAIN}_02_mask.gif'] = encode(mask, 'GIF')


def color_mask(made):
  color = encode(Image.new('RGB', (384, 256)), 'PNG')
  made.train_masks[f'{TRAIN}_02_mask.gif'] = color


def cut_test_photo(made):
  data = made.test[f'{UNLABELED}_01.jpg']
  made.test[f'{UNLABELED}_01.jpg'] = data[:-200]


PHOTO = f'train/{TRAIN}_02.jpg'
MASK = f'train_masks/{TRAIN}_02_mask.gif'


class PaletteTest(parameterized.TestCase):
  @parameterized.parameters(
    ([0, 0, 0, 255, 255, 255], 1, 1),
    ([255, 255, 255, 0, 0, 0], 1, 0),
    ([0, 0, 0, 128, 0, 0], 1, 1),  # red, as labelme and Pascal VOC have it
    ([255, 255, 255], 1, 0),  # what a palette lacks is black
    ([0, 0, 0] + 254 * [9, 9, 9] + [255, 255, 255], 255, 255),
    ([255, 255, 255] + 255 * [0, 0, 0], 255, 0),
  )
  def test_the_brighter_colour_is_car(self, palette, other, car):
    mask = Image.new('P', (4, 3), 0)
    mask.putpixel((1, 2), other)
    mask.putpalette(palette)
    indices = np.array(mask)
    found = verify.decode_mask(encode(mask, 'PNG'))
    np.testing.assert_array_equal(found, 255 * (indices == car))

  @parameterized.parameters(([255, 255, 255], 255), ([0, 0, 0], 0))
  def test_of_one_colour(self, palette, value):
    mask = Image.new('P', (4, 3), 0)
    mask.putpalette(palette)
    found = verify.decode_mask(encode(mask, 'PNG'))
    np.testing.assert_array_equal(found, np.full((3, 4), value))


class BadInputTest(FolderTest):
  @parameterized.parameters(
    (lose_mask, f'mask missing for {PHOTO}', 'add'),
    (lose_photo, f'photo missing for {MASK}', 'add'),
    (empty_photo, f'{PHOTO} is empty', 'download it again'),
    (cut_photo, PHOTO, 'truncated', 'download it again'),
    (text_photo, f'{PHOTO} is not an image', 'download it again'),
    (png_photo, PHOTO, 'it is a RGB PNG', 'save it as one, download it again'),
    (turn_photo, PHOTO, '256x384, not 384x256: bring it to that size, '),
    (turn_by_exif, PHOTO, 'its Exif turns it', 'turn the pixels'),
    (empty_mask, f'{MASK} is empty', 'download it again'),
    (cut_mask, MASK, 'truncated', 'download it again'),
    (small_mask, MASK, '192x128, not 384x256'),
    (third_value_in_mask, MASK, 'values other than 0 and 1', 'without grey, '),
    (color_mask, MASK, 'the mode is RGB', 'save it in black and white, '),
    (cut_test_photo, f'test/{UNLABELED}_01.jpg', 'truncated'),
  )
  def test_is_named_before_anything_is_written(self, spoil, *parts):
    made = compete(stems(TRAIN, (1, 2, 3)), stems(UNLABELED, (1,)))
    spoil(made)
    write_folders(made, self.manual)
    self.assert_refused(*parts)

  def test_wrong_bytes_are_named(self):
    made = compete(stems(TRAIN, (1, 2, 3)))
    name = f'{TRAIN}_02.jpg'
    made.train[name] = photo_files.garbled(made.train[name])
    write_folders(made, self.manual)
    with (
      contextlib.redirect_stdout(None),  # as commands do while TFDS speaks
      contextlib.redirect_stderr(io.StringIO()) as printed,
    ):
      examples = read(prepare(self.manual, self.data))['train']
    (line,) = [x for x in printed.getvalue().splitlines() if 'wrong' in x]
    self.assertRegex(line, f'{PHOTO} may look wrong.*Corrupt JPEG.*it is used')
    self.assertLen(examples, 3)

  def test_several_are_counted(self):
    made = compete(stems(TRAIN, (1, 2, 3)))
    empty_photo(made)
    cut_mask(made)
    write_folders(made, self.manual)
    self.assert_refused(PHOTO, '1 more')

  def test_member_with_a_wrong_checksum(self):
    made = compete(stems(TRAIN, (1,)))
    write_zips(made, self.manual)
    photo = made.train[f'{TRAIN}_01.jpg']
    data = zip_bytes({f'{TRAIN}_01.jpg': photo})
    flipped = photo[:300] + bytes([photo[300] ^ 1]) + photo[301:]
    (self.manual / 'train.zip').write_bytes(data.replace(photo, flipped))
    self.assert_refused(f'train.zip:{TRAIN}_01.jpg', 'CRC', 'download it')

  def test_file_that_vanishes_after_the_check(self):
    write_folders(compete(stems(TRAIN, (1,))), self.manual)
    found = archives.find(self.manual, unlabeled=True)
    (self.manual / 'train' / f'{TRAIN}_01.jpg').unlink()
    with self.assertRaisesRegex(UserError, f'^train/{TRAIN}_01.jpg cannot be'):
      found.photos[f'{TRAIN}_01'].read()

  @parameterized.parameters('train.zip', 'carvana-image-masking-challenge.zip')
  def test_cut_archive(self, name):
    made = compete(stems(TRAIN, (1,)))
    write_zips(made, self.manual)
    data = (self.manual / 'train.zip').read_bytes()
    (self.manual / name).write_bytes(data[:-30])
    self.assert_refused(f'{name} is not a complete zip', 'download it again')

  def test_same_name_twice(self):
    made = compete(stems(TRAIN, (1,)))
    write_zips(made, self.manual)
    with zipfile.ZipFile(self.manual / 'train.zip', 'a') as archive:
      archive.writestr(f'copy/{TRAIN}_01.jpg', b'')
    self.assert_refused(
      f'train.zip:train/{TRAIN}_01.jpg and train.zip:copy/{TRAIN}_01.jpg'
    )

  @parameterized.parameters('train', 'train_masks')
  def test_photos_or_masks_absent(self, name):
    made = compete(stems(TRAIN, (1,)))
    getattr(made, name).clear()
    write_folders(made, self.manual)
    kind = {'train': 'photos', 'train_masks': 'masks'}[name]
    url = 'https://www.kaggle.com/c/carvana-image-masking-challenge'
    self.assert_refused(f'{self.manual} has no {kind} of', 'train.zip', url)

  @parameterized.parameters(False, True)
  def test_folder_absent_or_empty(self, is_there):
    if is_there:
      self.manual.mkdir()
    url = 'https://www.kaggle.com/c/carvana-image-masking-challenge'
    self.assert_refused(str(self.manual), url)


class KaggleTest(FolderTest):
  """With a `kaggle` of our own, which takes the archives from a folder."""

  def setUp(self):
    super().setUp()
    self.log = self.root / 'log'
    programs = self.root / 'bin'
    programs.mkdir()
    self.served = self.root / 'served'
    write_zips(compete(stems(TRAIN, (1,))), self.served)
    self.client = programs / 'kaggle'
    self.install(f'cp {self.served}/*.zip "$6"')
    variables = {'PATH': f'{programs}:/usr/bin:/bin', 'HOME': str(self.root)}
    self.enterContext(mock.patch.dict(os.environ, variables, clear=True))
    # The environment of the tests may have a client: hide it.
    self.enterContext(mock.patch('sys.executable', '/nowhere/python'))

  def install(self, action):
    self.client.write_text(f'#!/bin/sh\necho "$@" >> {self.log}\n{action}\n')
    self.client.chmod(self.client.stat().st_mode | stat.S_IXUSR)

  @parameterized.parameters(
    {'KAGGLE_USERNAME': 'me', 'KAGGLE_KEY': 'secret'},
    {'KAGGLE_API_TOKEN': 'secret'},
    {'KAGGLE_CONFIG_DIR': 'config'},
    {},
  )
  def test_fetches_with_any_credentials(self, **variables):
    folder = self.root / '.kaggle'
    if 'KAGGLE_CONFIG_DIR' in variables:
      folder = self.root / 'config'
      variables['KAGGLE_CONFIG_DIR'] = str(folder)
    if 'KAGGLE_CONFIG_DIR' in variables or not variables:
      folder.mkdir()
      (folder / 'kaggle.json').write_text('{}')
    with mock.patch.dict(os.environ, variables):
      builder = prepare(self.manual, self.data, fetch=True)
    self.assertEqual(list(read(builder)['train']), stems(TRAIN, (1,)))
    self.assertEqual(
      self.log.read_text(),
      'competitions download -c carvana-image-masking-challenge'
      f' -p {self.manual}\n',
    )

  def test_nothing_is_fetched_unless_asked_for(self):
    os.environ['KAGGLE_API_TOKEN'] = 'secret'
    self.assert_refused(str(self.manual))
    self.assertFalse(self.log.exists())

  def test_nothing_is_fetched_twice(self):
    os.environ['KAGGLE_API_TOKEN'] = 'secret'
    write_folders(compete(stems(TRAIN, (1,))), self.manual)
    prepare(self.manual, self.data, fetch=True)
    self.assertFalse(self.log.exists())

  def test_without_credentials(self):
    os.environ['KAGGLE_USERNAME'] = 'me'  # but no key
    self.assert_refused('credentials', 'kaggle.json', '/rules', fetch=True)
    self.assertFalse(self.log.exists())

  def test_without_the_client(self):
    self.client.unlink()
    self.assert_refused('pip install kaggle', '/rules', fetch=True)

  def test_client_fails(self):
    os.environ['KAGGLE_API_TOKEN'] = 'secret'
    self.install('exit 3')
    self.assert_refused('code 3', '/rules', fetch=True)

  def test_client_brings_something_else(self):
    os.environ['KAGGLE_API_TOKEN'] = 'secret'
    self.install('echo > "$6/readme.txt"')
    self.assert_refused('has no photos and no masks', fetch=True)


@unittest.skipUnless(REAL.is_dir(), f'{REAL} is absent')
class RealPhotosTest(absltest.TestCase):
  def test_find_counts_them(self):
    found = archives.find(REAL, unlabeled=True)
    self.assertLen(found.photos, 952)
    self.assertEqual(found.masks.keys(), found.photos.keys())
    self.assertLen(found.test, 256)
    self.assertLen({stem.split('_')[0] for stem in found.photos}, 60)
    self.assertLen(found.metadata, 6572)
    self.assertEqual(
      found.metadata['0004d4463b50'],
      {'make': 'Acura', 'model': 'TL', 'year': '2014', 'trim': 'TL w/SE'},
    )

  def test_mask_is_the_palette_index(self):
    found = archives.find(REAL, unlabeled=False)
    data = next(iter(found.masks.values())).read()
    mask = verify.decode_mask(data)
    self.assertEqual(mask.shape, FULL)
    indices = pixels_of(data)
    self.assertGreater(np.mean(indices), 0.05)
    np.testing.assert_array_equal(mask, 255 * indices)


if __name__ == '__main__':
  absltest.main()
