"""Parts of a submission: what is refused, and that none is lost."""

import csv
import gzip
import pathlib
import shutil
import tempfile

import chex
from absl.testing import parameterized

from carvana_jax.inference import contents
from carvana_jax.submission import parts
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

SETTINGS = {'networks': ['abc'], 'threshold': 0.5}
CARS = [[f'{car:03}_{view:02}.jpg' for view in range(16)] for car in range(20)]
NAMES = [name for car in CARS for name in car]


class PartsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.output = self.root / 'submission.csv'
    self.folder = self.root / 'submission.csv.parts'

  def open(self, **others):
    return parts.Parts.open(self.output, CARS, SETTINGS | others)

  def fill(self, store, numbers=None, failed=()):
    """Rows from the last to the first."""
    numbers = range(store.count) if numbers is None else numbers
    collector = parts.Collector(store, numbers)
    names = [name for number in numbers for name in store.names_of(number)]
    for name in reversed(names):
      if name in failed:
        row = parts.Row(failure=f'{name} is damaged.')
      else:
        row = parts.Row(f'{int(name[:3]) + 1} {int(name[4:6]) + 1}')
      collector.add(name, row)

  def test_rows_are_those_of_all_photos_in_order(self):
    store = self.open()
    self.assertEqual(store.count, 3)
    self.assertEqual([len(store.names_of(x)) for x in range(3)], [128, 128, 64])
    self.fill(store)
    store.join()
    lines = self.output.read_text().splitlines()
    self.assertEqual(lines[0], 'img,rle_mask')
    self.assertEqual([line.split(',')[0] for line in lines[1:]], NAMES)
    self.assertEqual(lines[-1], '019_15.jpg,20 16')
    self.assertEqual(list(self.root.iterdir()), [self.output])

  def test_a_part_is_there_when_all_of_it_is(self):
    store = self.open()
    collector = parts.Collector(store, [1])
    *most, last = store.names_of(1)
    for name in most:
      collector.add(name, parts.Row('1 1'))
    self.assertFalse(store.is_done(1))
    collector.add(last, parts.Row())
    self.assertTrue(store.is_done(1))
    self.assertTrue(self.open().is_done(1))
    self.assertFalse(self.open().is_done(0))

  def test_failed_photos_have_empty_rows_and_are_listed(self):
    store = self.open()
    self.fill(store, failed=('000_03.jpg', '019_15.jpg'))
    store.join()
    lines = self.output.read_text().splitlines()
    self.assertEqual(lines[-1], '019_15.jpg,')
    self.assertEqual(lines[4], '000_03.jpg,')
    self.assertEqual(lines[5], '000_04.jpg,1 5')
    listing = self.root / 'submission.csv.failed.csv'
    self.assertEqual(parts.failures_of(self.output), listing)
    with listing.open(newline='') as file:
      rows = list(csv.DictReader(file))
    self.assertEqual(
      [row['photo'] for row in rows], ['000_03.jpg', '019_15.jpg']
    )
    self.assertEqual(rows[1]['reason'], '019_15.jpg is damaged.')

  def test_equal_submissions_are_equal_files(self):
    contents = []
    for name in ('a.csv.gz', 'b.csv.gz'):
      self.output = self.root / name
      store = self.open()
      self.fill(store, [2, 0, 1])
      store.join()
      contents.append(self.output.read_bytes())
    self.assertEqual(*contents)
    self.assertLen(gzip.decompress(contents[0]).splitlines(), 321)

  def test_a_gap_is_refused(self):
    store = self.open()
    self.fill(store, [0, 2])
    with self.assertRaisesRegex(UserError, 'part_00001.csv is missing; run'):
      store.join()
    self.assertEqual(list(self.root.iterdir()), [self.folder])
    self.fill(store, [1])
    store.join()
    self.assertTrue(self.output.exists())

  @parameterized.parameters('networks', 'threshold')
  def test_parts_of_others_are_refused(self, field):
    self.open()
    with self.assertRaisesRegex(UserError, rf'other settings \({field}'):
      self.open(**{field: 'other'})
    with self.assertRaisesRegex(UserError, r'other settings \(photos, names\)'):
      parts.Parts.open(self.output, CARS[1:], SETTINGS)

  def test_hosts_that_see_the_photos_at_other_paths(self):
    for number, path in enumerate(('/a', '/b', '/c')):
      store = parts.Parts.open(self.output, CARS, SETTINGS, {'input': path})
      self.fill(store, [number])
    store.join()
    self.assertTrue(self.output.exists())

  def test_what_photos_held_is_kept(self):
    store = self.open()
    held = [contents.Content(name, [1, 2]) for name in store.names_of(0)]
    held[3] = None  # could not be read
    store.write(0, [parts.Row('1 1', content) for content in held])
    found = self.open().contents_of(0)
    self.assertEqual(list(found), NAMES[:128])
    self.assertEqual(list(found.values()), held)
    # Of other settings, missing, damaged, or of an older version.
    path = self.folder / 'part_00000.csv'
    whole = path.read_text()
    shutil.rmtree(self.folder)
    store = self.open(threshold=0.4)
    for text in (whole, None, '', whole[:200], whole.replace('contents', 'x')):
      if text is not None:
        path.write_text(text)
      self.assertEqual(store.contents_of(0), {})
      path.unlink(missing_ok=True)

  def test_the_check_before_joining_is_alone(self):
    store = self.open()
    self.fill(store)
    checks = []

    def check():
      checks.append(self.output.exists())
      with self.assertRaises(BlockingIOError):
        self.enterContext(files.lock(self.folder / 'lock', wait=False))

    store.join(check)
    self.open().join(check)  # which another process has left behind
    self.assertEqual(checks, [False])

  def test_photos_without_a_car_are_told(self):
    store = self.open()
    self.fill(store)
    rows = [parts.Row(is_empty=i % 40 == 7) for i in range(128)]
    store.write(1, rows)
    self.assertEqual(store.join(), [NAMES[128 + i] for i in (7, 47, 87, 127)])

  def spoil_by_others(self, path):
    """The same rows, of another network."""
    other = self.root / 'other' / 'submission.csv'
    store = parts.Parts.open(other, CARS, SETTINGS | {'networks': ['other']})
    self.fill(store)
    shutil.copy(parts.folder_of(other) / path.name, path)

  def spoil_by_duplicate(self, path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(''.join([*lines[:5], lines[4], *lines[6:]]))

  def spoil_by_another_part(self, path):
    shutil.copy(path.with_name('part_00000.csv'), path)

  def spoil_by_cutting(self, path):
    path.write_bytes(path.read_bytes()[:-1])

  def spoil_by_a_lost_row(self, path):
    path.write_text(''.join(path.read_text().splitlines(keepends=True)[:-1]))

  def spoil_by_emptying(self, path):
    path.write_text('')

  @parameterized.parameters(
    'others', 'duplicate', 'another_part', 'cutting', 'a_lost_row', 'emptying'
  )
  def test_a_spoilt_part_is_refused(self, how):
    store = self.open()
    self.fill(store)
    getattr(self, f'spoil_by_{how}')(self.folder / 'part_00001.csv')
    with self.assertRaisesRegex(UserError, 'part_00001.csv is damaged or of'):
      store.join()
    self.assertFalse(self.output.exists())

  def test_two_processes_that_end_at_once(self):
    first, second = self.open(), self.open()
    self.fill(first)
    first.join()
    before = self.output.read_bytes()
    second.join()  # finds all done
    self.assertEqual(self.output.read_bytes(), before)

  def test_nothing_but_failed_photos_is_no_submission(self):
    store = self.open()
    self.fill(store, failed=NAMES)
    with self.assertRaisesRegex(
      UserError, 'none of the 320 photos is of use; the first: 000_00.jpg is'
    ):
      store.join()
    self.assertEmpty(list(self.root.iterdir()))

  def test_a_folder_that_is_gone_is_told(self):
    store = self.open()
    self.fill(store)
    shutil.rmtree(self.folder)
    with self.assertRaisesRegex(
      UserError, f'^{self.output} could not be made .*; run the same command'
    ):
      store.join()
    self.assertFalse(self.output.exists())

  def test_killed_when_only_the_parts_were_left(self):
    store = self.open()
    self.fill(store)
    self.output.write_text('whole')
    store.join()
    self.assertEqual(self.output.read_text(), 'whole')
    self.assertFalse(self.folder.exists())

  def test_a_name_that_can_not_be_in_a_submission(self):
    with self.assertRaisesRegex(UserError, 'comma'):
      parts.Parts.open(self.output, [['a,b.jpg']], SETTINGS)
    self.assertFalse(self.folder.exists())
