"""Files that are whole or absent, however many write them; locks; paths."""

import errno
import pathlib
import re
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

  def test_a_full_disk_is_named(self):
    full = OSError(errno.ENOSPC, 'No space left on device')  # as of write(2)
    with (
      mock.patch('pathlib.Path.write_bytes', side_effect=full),
      self.assertRaises(OSError) as failed,
    ):
      files.write(self.path, b'x')
    self.assertEqual(failed.exception.errno, errno.ENOSPC)
    self.assertEqual(failed.exception.filename, str(self.path))
    with self.assertRaises(OSError) as failed, files.named(self.path):
      raise FileNotFoundError(errno.ENOENT, 'No such file', 'other')
    self.assertEqual(failed.exception.filename, 'other')

  def test_a_full_disk_of_a_writer_in_another_language(self):
    text = 'write() failed: No space left on device; writing x'
    with (
      self.assertRaises(OSError) as failed,
      files.full_disk_named(self.path),
    ):
      raise RuntimeError(text)
    self.assertEqual(failed.exception.errno, errno.ENOSPC)
    self.assertEqual(failed.exception.filename, str(self.path))
    with self.assertRaises(RuntimeError), files.full_disk_named(self.path):
      raise RuntimeError('another')

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

  def test_csv(self):
    rows = [{'a': 1, 'b': 'x,"y"'}, {'a': None, 'b': 'z'}]
    text = 'a,b\n1,"x,""y"""\n,z\n'
    self.assertEqual(files.csv_text(rows), text)
    self.assertEqual(
      files.csv_text(rows, ['b', 'a'], line_end='\r\n'),
      'b,a\r\n"x,""y""",1\r\nz,\r\n',
    )
    self.assertEqual(files.csv_text([], ['a', 'b']), 'a,b\n')


class PathTest(chex.TestCase):
  def test_a_home_folder(self):
    with mock.patch.dict('os.environ', HOME='/home/me'):
      self.assertEqual(files.expand('~/a'), pathlib.Path('/home/me/a'))
      self.assertEqual(files.absolute('~/a'), pathlib.Path('/home/me/a'))
    self.assertEqual(files.expand('a/../b'), pathlib.Path('a/../b'))
    self.assertEqual(files.absolute('a'), pathlib.Path.cwd() / 'a')

  def test_urls_and_nothing(self):
    for function in (files.expand, files.absolute):
      for text in ('https://a.org/b', 'S3://c', 'file:/d', 'gs://e/*.jpg'):
        with self.assertRaisesRegex(UserError, f'^{re.escape(text)} is a URL'):
          function(text)
      with self.assertRaisesRegex(UserError, 'a path is empty'):
        function('')
      for text in ('C:/a', 'a:b', 'https', './https://a', '12:/a'):
        function(text)

  def test_absence(self):
    self.assertEqual(files.absence(pathlib.Path.cwd()), '')
    self.assertEqual(
      files.absence(pathlib.Path.cwd() / 'missing'), ' (it does not exist)'
    )

  def test_no_such_home_folder(self):
    for function in (files.expand, files.absolute):
      with self.assertRaisesRegex(
        UserError, 'no such home folder as in ~nobody_of_this_name/a; write'
      ):
        function('~nobody_of_this_name/a')


class LockTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def test_one_at_a_time(self):
    for path in (self.root, self.root / 'lock'):
      # A path that is opened again is locked as by another process.
      with (
        files.lock(path, wait=False),
        self.assertRaises(BlockingIOError),
        files.lock(path, wait=False),
      ):
        pass
      with files.lock(path, wait=False):
        pass

  def test_waiting(self):
    path, events = self.root / 'lock', []

    def second():
      with files.lock(path):
        events.append('second')

    thread = threading.Thread(target=second)
    with files.lock(path):
      thread.start()
      thread.join(0.2)
      events.append('first')
    thread.join(60)
    self.assertEqual(events, ['first', 'second'])

  def test_a_disk_without_locks(self):
    unknown = OSError(errno.ENOTSUP, 'Operation not supported')
    with (
      mock.patch('fcntl.flock', side_effect=unknown),
      self.assertRaisesRegex(files.NoLocksError, 'Operation not supported'),
      files.lock(self.root / 'lock'),
    ):
      pass

  def test_what_fails_under_a_lock_is_raised_as_it_is(self):
    with self.assertRaises(FileNotFoundError), files.lock(self.root):
      raise FileNotFoundError
    with self.assertRaises(FileNotFoundError):
      files.lock(self.root / 'none' / 'lock').__enter__()
