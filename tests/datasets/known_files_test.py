"""Files are known by their content, which is read once."""

import contextlib
import io
import json
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from carvana_jax.configs import debug
from carvana_jax.datasets import file_listing, known_files, prepare
from carvana_jax.datasets.carvana import archives, carvana_dataset_builder
from carvana_jax.system import stamps
from tests.datasets.carvana_test import (
  TINY,
  TRAIN,
  compete,
  stems,
  write_folders,
  write_zips,
)

NOTES = 'carvana_files.json'


class KnownFilesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.manual, self.data = self.root / 'manual', self.root / 'data'
    self.data.mkdir()
    self.made = compete(stems(TRAIN, (1, 2)))
    self.made.metadata = b''
    write_folders(self.made, self.manual)
    # Files that are written just now count as those of yesterday.
    self.enterContext(mock.patch.object(stamps, '_STEP', -(10**18)))

  def know(self, manual=None):
    """What is known after data have been prepared."""
    manual = manual or self.manual
    found = archives.find(manual, unlabeled=True)
    origin = known_files.Origin(
      manual,
      (found.photos, found.masks, found.test),
      archives.fingerprint(found),
    )
    known = known_files.KnownFiles(self.data, 'carvana', origin)
    known.remember()
    return known

  def replace(self):
    """Replaces a photo by another file of the same size."""
    path = self.manual / 'train' / f'{TRAIN}_01.jpg'
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    times = path.stat()
    path.write_bytes(data)
    # As tools do that copy times, too.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

  def test_a_replaced_file_of_the_same_size_and_time(self):
    before = self.know()
    self.assertRegex(before.folder, '^carvana-[0-9a-f]{8}-[0-9a-f]{8}$')
    self.assertIsNone(before.replaces)
    self.replace()
    after = self.know()
    self.assertEqual(after.folder[:16], before.folder[:16])
    self.assertNotEqual(after.folder, before.folder)
    self.assertEqual(after.replaces, before.folder)
    self.assertIsNone(self.know().replaces)

  def test_archives_and_folders_elsewhere_are_the_same_input(self):
    expected = self.know().folder
    write_zips(self.made, self.root / 'zips')
    self.assertEqual(self.know(self.root / 'zips').folder, expected)
    moved = self.manual.rename(self.root / 'moved')
    self.assertEqual(self.know(moved).folder, expected)

  def test_files_are_read_once(self):
    with mock.patch.object(
      file_listing.File, 'read', autospec=True, return_value=b''
    ) as read:
      first = self.know().folder
      self.assertEqual(read.call_count, 4)
      self.assertEqual(self.know().folder, first)
      self.assertEqual(read.call_count, 4)
      self.replace()
      self.know()
      self.assertEqual(read.call_count, 5)

  def test_files_that_may_still_change_are_read_again(self):
    with mock.patch.object(stamps, '_STEP', 2 * 10**9):
      before = self.know().folder
      self.replace()
      self.assertNotEqual(self.know().folder, before)
    self.assertIn('"crcs": {}', (self.data / NOTES).read_text())

  @parameterized.parameters(
    '', '{', '[]', '{"crcs": 1, "prepared": {}, "adopted": {}}', '\x00'
  )
  def test_damaged_notes_are_ignored(self, text):
    expected = self.know().folder
    (self.data / NOTES).write_text(text)
    self.assertEqual(self.know().folder, expected)

  def test_data_that_may_only_be_read(self):
    with mock.patch.object(
      known_files.files, 'write', side_effect=PermissionError
    ):
      self.assertEqual(self.know().folder, self.know().folder)

  def test_folders_of_older_versions_are_gone_on_with(self):
    mark = archives.fingerprint(archives.find(self.manual, unlabeled=True))
    (self.data / f'carvana-{mark}').mkdir()
    self.assertEqual(self.know().folder, f'carvana-{mark}')
    self.assertEqual(self.know().folder, f'carvana-{mark}')
    self.replace()
    self.assertStartsWith(self.know().folder, f'carvana-{mark}-')
    self.assertEqual(self.know().replaces, None)

  def test_older_data_that_may_only_be_read_are_used_unread(self):
    mark = archives.fingerprint(archives.find(self.manual, unlabeled=True))
    (self.data / f'carvana-{mark}').mkdir()
    with (
      mock.patch.object(known_files.os, 'access', return_value=False),
      mock.patch.object(file_listing.File, 'read') as read,
    ):
      self.assertEqual(self.know().folder, f'carvana-{mark}')
    read.assert_not_called()

  def test_files_that_are_gone_are_forgotten(self):
    write_folders(self.made, self.root / 'other')
    self.know(self.root / 'other')
    self.know()
    gone = self.manual / 'train' / f'{TRAIN}_01.jpg'
    for path in (gone, self.manual / 'train_masks' / f'{TRAIN}_01_mask.gif'):
      self.assertIn(str(path), (self.data / NOTES).read_text())
      path.unlink()
    self.know()
    noted = json.loads((self.data / NOTES).read_text())['crcs']
    self.assertLen(noted, 6)  # of both folders
    self.assertNotIn(str(gone), noted)

  def test_unreadable_files_are_left_to_the_checks(self):
    before = self.know().folder
    self.replace()
    with mock.patch.object(file_listing.zip_archives, 'MOST_BYTES', 10):
      self.assertNotEqual(self.know().folder, before)

  def test_prepared_again_with_a_word(self):
    config = debug.get_config().data
    config.update(
      dataset='carvana', size='128x192',
      data_dir=str(self.root / 'new'), manual_dir=str(self.manual),
    )  # fmt: skip
    prepare._say.cache_clear()
    Builder = carvana_dataset_builder.Builder
    begun = []
    with mock.patch.object(Builder, 'PHOTO_SIZE', TINY):
      before = prepare.dataset(config, '128x192', begun.append)
      (self.manual / 'train' / 'mycar_01.jpg').write_bytes(b'')
      self.replace()
      with contextlib.redirect_stdout(io.StringIO()) as said:
        after = prepare.dataset(config, '128x192')
        prepare.dataset(config, '128x192')
    self.assertEqual(begun, [before.info.splits['train'].num_examples])
    lines = said.getvalue().splitlines()
    self.assertLen(lines, 3)
    self.assertStartsWith(lines[0], '1 file is left out (train/mycar_01.jpg)')
    self.assertRegex(lines[1], 'manual has changed since carvana-[-0-9a-f]+')
    self.assertStartsWith(lines[2], 'preparing carvana/128x192 in ')
    self.assertNotEqual(after.data_path, before.data_path)

  @parameterized.parameters(
    ('carvana-0123abcd/x', 'carvana-0123abcd/x', True),
    ('carvana-0123abcd/x', 'carvana-0123abcd-4567cdef/x', True),
    ('carvana-0123abcd-4567cdef/x', 'carvana-0123abcd-4567cde0/x', False),
    ('carvana-0123abcd-4567cdef/x', 'carvana-0123abcd/x', False),
    ('carvana-0123abce/x', 'carvana-0123abcd-4567cdef/x', False),
    ('studio/x', 'studio/y', False),
    ('studio/coarse-0123abcd/x', 'studio/coarse-0123abcd-4567cdef/x', True),
    (
      'studio/coarse-0123abcd-4567cde0/x',
      'studio/coarse-0123abcd-4567cdef/x',
      False,
    ),
    (
      'carvana-0123abcd/coarse-0123abcd/x',
      'carvana-0123abcd-4567cdef/coarse-0123abcd-4567cdef/x',
      True,
    ),
  )
  def test_runs_of_older_versions_go_on(self, before, now, same):
    config = debug.get_config().data
    config.data_dir = str(self.data)
    self.assertEqual(prepare.is_same(config, before, now), same)

  def test_runs_of_older_versions_whose_files_changed_do_not(self):
    config = debug.get_config().data
    config.data_dir = str(self.data)
    (self.data / 'carvana-0123abcd').mkdir()
    now = 'carvana-0123abcd-4567cdef/x'
    self.assertFalse(prepare.is_same(config, 'carvana-0123abcd/x', now))


if __name__ == '__main__':
  absltest.main()
