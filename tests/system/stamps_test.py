"""Stamps tell changed files from those that are as they were."""

import os
import pathlib
import tempfile
from unittest import mock

import chex

from carvana_jax.system import stamps


class StampsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = root / 'a'
    self.path.write_bytes(b'first')

  def test_of_path(self):
    first = stamps.of_path(self.path)
    self.assertEqual(stamps.of_path(str(self.path)), first)
    with self.path.open('rb') as stream:
      self.assertEqual(stamps.of_stream(stream), first)
    times = self.path.stat()
    self.assertEqual(first[-1], times.st_ctime_ns)
    # A copy of equal size, and with the same time of its last change.
    self.path.with_name('b').write_bytes(b'other')
    self.path.with_name('b').replace(self.path)
    os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    self.assertNotEqual(stamps.of_path(self.path), first)
    self.path.unlink()
    self.assertIsNone(stamps.of_path(self.path))

  def test_a_file_that_has_just_changed_may_change_again(self):
    stamp = stamps.of_path(self.path)
    for later, settled in ((1, False), (3, True)):
      now = stamp[-1] + later * 10**9
      with mock.patch.object(stamps.time, 'time_ns', return_value=now):
        self.assertEqual(stamps.is_settled(stamp), settled)
    self.assertFalse(stamps.is_settled(None))

  def test_windows_does_not_tell(self):
    with self.path.open('rb') as stream, mock.patch('os.name', 'nt'):
      self.assertIsNone(stamps.of_stream(stream))
