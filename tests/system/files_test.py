"""Files that are whole or not there, however many write them."""

import pathlib
import tempfile
import threading
from unittest import mock

import chex

from carvana_jax.system import files
from carvana_jax.system.errors import UserError


class AtomicTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = self.enterContext(tempfile.TemporaryDirectory())
    self.path = pathlib.Path(root) / 'file'

  def test_several_writers_of_one_file(self):
    contents = [str(i) * 100_000 for i in range(8)]
    failures = []

    def write(content):
      try:
        for _ in range(20):
          files.write(self.path, content)
      except OSError as error:
        failures.append(error)

    threads = [threading.Thread(target=write, args=[x]) for x in contents]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEmpty(failures)
    self.assertIn(self.path.read_text(), contents)
    self.assertEqual(list(self.path.parent.iterdir()), [self.path])

  def test_nothing_is_left_of_a_failure(self):
    self.path.write_text('before')
    with (
      mock.patch('os.replace', side_effect=OSError('full')),
      self.assertRaisesRegex(OSError, 'full'),
    ):
      files.write(self.path, b'after')
    self.assertEqual(self.path.read_text(), 'before')
    self.assertEqual(list(self.path.parent.iterdir()), [self.path])

  def test_what_a_killed_process_has_left_is_removed(self):
    folder = self.path.parent
    kept = [folder / name for name in ('file', '.file', 'a.tmp', '.a.0.tmp')]
    for path in kept:
      path.touch()
    with (
      mock.patch('os.replace', side_effect=OSError('killed')),
      mock.patch('pathlib.Path.unlink'),
      self.assertRaises(OSError),
    ):
      files.write(self.path, b'after')
    self.assertLen(list(folder.iterdir()), 5)
    files.remove_leftovers(folder, 'file')
    self.assertCountEqual(folder.iterdir(), kept)
    files.remove_leftovers(folder)
    self.assertCountEqual(folder.iterdir(), kept[:3])
    files.remove_leftovers(folder / 'none')

  def test_json_that_is_none(self):
    for text in ('', '{"a": 1', '[1]', '"a"'):
      self.path.write_text(text)
      with self.assertRaisesRegex(UserError, 'file is damaged; remove it'):
        files.read_json(self.path)
    self.path.write_text('{"a": [1, 2]}')
    self.assertEqual(files.read_json(self.path), {'a': [1, 2]})
