"""Photos are known by content, and read again only where they may differ."""

import hashlib
import os
import pathlib
import tempfile
import zipfile
from unittest import mock

import chex

from carvana_jax.inference import contents, finding, photos
from carvana_jax.system import stamps
from carvana_jax.system.errors import UserError


class ContentsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.root / 'a.jpg'
    self.path.write_bytes(b'first')

  def photo(self):
    return photos.on_disk(str(self.path))

  def read(self, photo=None, later=10):
    """The content, as if the clock were so many seconds later."""
    now = stamps.time.time_ns() + int(later * 1e9)
    with mock.patch.object(stamps.time, 'time_ns', return_value=now):
      return contents.read(photo or self.photo())[1]

  def present(self, known, photo=None):
    """The digest, and whether the file was read for it."""
    photo = photo or self.photo()
    with mock.patch.object(
      photos.Photo, 'read', autospec=True, side_effect=photos.Photo.read
    ) as read:
      found = contents.present({'a': photo}, {'a': known})
    return found['a'] and found['a'].digest, read.called

  def test_digest(self):
    data, content = contents.read(self.photo())
    self.assertEqual(data, b'first')
    self.assertEqual(content.digest, hashlib.sha256(b'first').hexdigest())
    self.path.unlink()
    with self.assertRaises(UserError):
      contents.read(self.photo())

  def test_a_file_is_read_again_if_anything_of_it_has_changed(self):
    first = self.read()
    self.assertEqual(self.present(first), (first.digest, False))
    self.assertEqual(self.present(None), (first.digest, True))
    # Of equal size, and with the same time of its last change.
    times = self.path.stat()
    self.path.write_bytes(b'other')
    os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    self.assertEqual(self.path.stat().st_mtime_ns, times.st_mtime_ns)
    other = hashlib.sha256(b'other').hexdigest()
    self.assertEqual(self.present(first), (other, True))
    self.path.unlink()
    self.assertEqual(self.present(first), (None, True))

  def test_a_file_that_has_just_changed_may_change_again(self):
    self.assertIsNone(self.read(later=1).stamp)
    self.assertLen(self.read(later=3).stamp, 4)

  def test_a_zip(self):
    def zipped(content):
      with zipfile.ZipFile(self.root / 'photos.zip', 'w') as archive:
        archive.writestr('a.jpg', content)
      return finding.find(str(self.root / 'photos.zip'))[0]

    first = self.read(zipped(b'first'))
    self.assertEqual(first.digest, self.read().digest)
    again = finding.find(str(self.root / 'photos.zip'))[0]
    self.assertEqual(self.present(first, again), (first.digest, False))
    found = self.present(first, zipped(b'other'))
    self.assertEqual(found, (hashlib.sha256(b'other').hexdigest(), True))
