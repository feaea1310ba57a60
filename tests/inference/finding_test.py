"""Which photos are found, under which names, and that they can be read."""

import concurrent.futures
import contextlib
import io
import os
import pathlib
import stat
import tempfile
import zipfile
from unittest import mock

import chex
import numpy as np
from PIL import Image

from carvana_jax.inference import finding, photos
from carvana_jax.system import zip_archives
from carvana_jax.system.errors import UserError
from tests.helpers import photo_files


def jpg(level=0, **options):
  """A grey JPG of 16 x 32 pixels."""
  stream = io.BytesIO()
  pixels = np.full((16, 32, 3), level, np.uint8)
  Image.fromarray(pixels).save(stream, 'JPEG', **options)
  return stream.getvalue()


class FindTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def add(self, *names):
    """Files that hold their own names."""
    photo_files.add(self.root, *names)

  def zip(self, members, compression=zipfile.ZIP_DEFLATED):
    """A ZIP of a list of names or of a dictionary of contents."""
    if not isinstance(members, dict):
      members = {name: name for name in members}
    path = self.root / 'photos.zip'
    with zipfile.ZipFile(path, 'w', compression) as archive:
      for name, content in members.items():
        archive.writestr(name, content)
    return path

  def found(self, text='.', **options):
    """(name, label, text) of what is found, labels relative to the folder."""
    return [
      (
        photo.name,
        photo.label.removeprefix(f'{self.root}/'),
        photo.read().decode(),
      )
      for photo in finding.find(os.path.join(self.root, text), **options)
    ]

  def names(self, text='.', **options):
    """The names of the photos, as outputs have them."""
    return [name for name, _, _ in self.found(text, **options)]

  def left_out(self, text='.', **options):
    """The line on what is left out."""
    return str(finding.look(os.path.join(self.root, text), **options)[1])

  def refused(self, pattern, text='.', **options):
    with self.assertRaisesRegex(UserError, pattern) as raised:
      finding.find(os.path.join(self.root, text), **options)
    self.assertNotIn('\n', str(raised.exception))

  def test_folder(self):
    names = ['b.JPG', 'a_2.jpeg', 'a_10.WebP', 'c.tar.png']
    self.add(*names, 'notes.txt', '.d.jpg', 'deeper/e.jpg', 'jpg')
    (self.root / 'folder.jpg').mkdir()
    (self.root / 'f.jpg').symlink_to(self.root / 'b.JPG')
    self.assertEqual(
      self.found(),
      [
        ('a_10', './a_10.WebP', 'a_10.WebP'),
        ('a_2', './a_2.jpeg', 'a_2.jpeg'),
        ('b', './b.JPG', 'b.JPG'),
        ('c.tar', './c.tar.png', 'c.tar.png'),
        ('f', './f.jpg', 'b.JPG'),
      ],
    )

  def test_file(self):
    self.add('a.jpg', 'b.jpg', 'c.txt')
    self.assertEqual(self.found('a.jpg'), [('a', 'a.jpg', 'a.jpg')])
    self.refused(r'c.txt holds no photo \(no photo\); give a folder', 'c.txt')

  def test_home(self):
    self.add('a.jpg')
    with mock.patch.dict(os.environ, HOME=str(self.root)):
      self.assertEqual(finding.find('~/a.jpg')[0].read(), b'a.jpg')
      self.assertEqual(finding.find('~/*.jpg')[0].read(), b'a.jpg')

  def test_pattern(self):
    self.add('x/b.jpg', 'y/a.png', 'y/z/c.jpg', 'x/.d.jpg', 'x/e.txt')
    (self.root / 'x/folder.jpg').mkdir()
    labels = lambda text: [label for _, label, _ in self.found(text)]
    self.assertEqual(labels('*/*'), ['x/b.jpg', 'y/a.png'])
    self.assertEqual(labels('**/*.jpg'), ['x/b.jpg', 'y/z/c.jpg'])
    self.assertEqual(
      self.left_out('*/*'),
      '3 left out: x/folder.jpg/, y/z/ (folder; --recursive takes its photos); '
      'x/e.txt (no photo)',
    )
    self.refused(r'\*.jpg matches no file; check the pattern', '*.jpg')

  def test_name_that_looks_like_a_pattern(self):
    self.add('[1]/a [b].jpg', '1/b.jpg', 'c[1].jpg', 'd/e [1]/f.jpg')
    self.assertEqual(self.found('[1]')[0][2], '[1]/a [b].jpg')
    self.assertEqual(self.names('c[1].jpg'), ['c[1]'])
    self.assertEqual(self.names('[1]/*.jpg'), ['a [b]'])
    self.assertEqual(self.names('[1]/a [b]*'), ['a [b]'])
    self.assertEqual(self.names('*/e [1]/*'), ['d/e [1]/f'])
    self.assertEqual(self.names('[12]/*.jpg'), ['1/b'])
    self.refused(r'2\]/.* matches no file; .* write \[\[\] for \[', '[2]/*')

  def test_zip(self):
    self.zip(
      ['train/sub/b.JPG', 'a.webp', '__MACOSX/c.jpg', 'train/.d.jpg',
       '.trash/e.jpg', 'notes.txt', '../f.png', '/etc/g.jpeg', 'h/h.jpg/',
       r'old\i.jpg', r'..\..\j.jpg']
    )  # fmt: skip
    with zipfile.ZipFile(self.root / 'photos.zip', 'a') as archive:
      link = zipfile.ZipInfo('link.jpg')
      link.external_attr = (stat.S_IFLNK | 0o777) << 16
      archive.writestr(link, 'a.webp')
    self.assertEqual(
      self.found('photos.zip'),
      [
        ('a', 'photos.zip:a.webp', 'a.webp'),
        ('b', 'photos.zip:train/sub/b.JPG', 'train/sub/b.JPG'),
        ('f', 'photos.zip:../f.png', '../f.png'),
        ('g', 'photos.zip:/etc/g.jpeg', '/etc/g.jpeg'),
        ('i', 'photos.zip:old/i.jpg', r'old\i.jpg'),
        ('j', 'photos.zip:../../j.jpg', r'..\..\j.jpg'),
      ],
    )
    self.assertEqual(os.listdir(self.root), ['photos.zip'])

  def test_zip_from_threads(self):
    contents = {f'{i:03}.jpg': bytes([i]) * (1000 * i) for i in range(100)}
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
      path = self.zip(contents, compression)
      with mock.patch.object(
        zipfile, 'ZipFile', wraps=zipfile.ZipFile
      ) as opened:
        found = finding.find(str(path))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
          read = list(pool.map(photos.Photo.read, found * 5))
      self.assertEqual(read, list(contents.values()) * 5)
      self.assertEqual(opened.call_count, 1)  # reads its directory

  def test_zip_is_damaged(self):
    path = self.zip(['a.jpg', 'b.jpg'])
    whole = path.read_bytes()
    for data in (whole[:-5], whole[:30], b'', b'no zip'):
      path.write_bytes(data)
      self.refused('photos.zip is no complete ZIP .*; replace it', 'photos.zip')

  def test_member_is_damaged(self):
    path = self.zip({'a.jpg': jpg(), 'b.jpg': jpg()}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b'a.jpg') + 100] ^= 1
    path.write_bytes(data)
    damaged, whole = finding.find(str(path))
    self.assertEqual(whole.read(), jpg())
    for function in (photos.Photo.read, photos.Photo.pixels):
      with self.assertRaisesRegex(UserError, 'zip:a.jpg cannot be read .*CRC'):
        function(damaged)

  def test_member_is_encrypted(self):
    path = self.zip(['a.txt', 'b.jpg'])
    data = bytearray(path.read_bytes())
    data[data.rindex(b'PK\x01\x02') + 8] |= 1  # general purpose flag, bit 0
    path.write_bytes(data)
    self.refused('photos.zip:b.jpg is encrypted; unpack', 'photos.zip')

  def test_member_is_packed_as_python_can_not(self):
    path = self.zip(['a.txt', 'b.jpg'])
    data = bytearray(path.read_bytes())
    data[data.rindex(b'PK\x01\x02') + 10] = 9  # compression method
    path.write_bytes(data)
    self.refused('zip:b.jpg is packed by deflate64, .*; unpack', 'photos.zip')

  def test_member_is_a_bomb(self):
    self.zip({'a.jpg': bytes(2000)})
    with mock.patch.object(zip_archives, 'MOST_BYTES', 1999):
      self.refused('photos.zip:a.jpg unpacks to', 'photos.zip')
    with mock.patch.object(zip_archives, 'MOST_BYTES', 2000):
      self.assertLen(self.found('photos.zip'), 1)

  def test_folders_in_names(self):
    self.add('in/a.jpg', 'in/x/a.JPG', 'in/x/y/a.png', 'in/x/.z/a.jpg')
    mirrored = ['a', 'x/a', 'x/y/a']
    self.assertEqual(self.names('in', recursive=True), mirrored)
    self.assertEqual(self.names('in/**', recursive=True), mirrored)
    self.assertEqual(self.names('in/**'), mirrored)
    self.assertEqual(self.names('in/**/**/*.*'), mirrored)
    self.assertEqual(self.names('in/*/*'), ['x/a'])
    self.assertEqual(self.names('in/x/*'), ['a'])
    self.assertEqual(self.names('in/x*', recursive=True), mirrored[1:])
    self.assertEqual(self.names('**/y/*.png'), ['in/x/y/a'])
    self.assertEqual(self.names('in/*/../*/*'), ['x/x/a'])
    with contextlib.chdir(self.root / 'in'):
      for text in ('**', './**', '*', '.'):
        found = finding.find(text, recursive=True)
        self.assertEqual([photo.name for photo in found], mirrored)
    self.add('in/x/a.webp')
    self.refused('x/a.JPG and .*x/a.webp have one', 'in', recursive=True)

  def test_members_that_would_leave_the_output(self):
    self.zip(
      ['../a.jpg', '/etc/b.jpg', r'..\..\c.jpg', r'C:\d.jpg', 'x/../../e.jpg',
       './f.jpg']
    )  # fmt: skip
    self.assertEqual(
      self.names('photos.zip', recursive=True),
      ['a', 'c', 'd', 'etc/b', 'f', 'x/e'],
    )

  def test_names_that_a_disk_takes_for_one(self):
    self.add('a/x.jpg', 'A/x.jpg', 'a/y.jpg')
    found = finding.find(str(self.root), recursive=True)
    output = self.root / 'new' / 'out'
    finding.refuse_equal_names(found, output)  # this disk tells them apart
    touch = pathlib.Path.touch

    def touch_small_and_capital(path):
      touch(path)
      touch(path.with_name(path.name.swapcase()))

    with (
      mock.patch.object(pathlib.Path, 'touch', touch_small_and_capital),
      self.assertRaisesRegex(UserError, 'x.jpg and .*x.jpg would have outputs'),
    ):
      finding.refuse_equal_names(found, output)
    self.assertFalse(output.parent.exists())

  def test_two_of_one_name(self):
    self.add('a.jpg', 'a.PNG')
    self.refused('a.PNG and .*a.jpg have one name.*; rename one')
    self.zip(['x/a.jpg', 'y/a.jpg', 'y/b.jpg'])
    self.refused(
      'zip:x/a.jpg and .*zip:y/a.jpg have one name.* --recursive', 'photos.zip'
    )
    names = ['x/a', 'y/a', 'y/b']
    self.assertEqual(self.names('photos.zip', recursive=True), names)
    # Rows of a submission are named after files, wherever these are.
    flat = {'recursive': True, 'flat': True}
    self.refused('have one name.*; rename one.$', 'photos.zip', **flat)

  def test_nothing(self):
    self.add('deeper/a.jpg')
    self.refused(r'holds no photo \(1 .*deeper/ \(folder.*; give a folder')
    self.refused('missing does not exist; check', 'missing')
    self.refused('missing/a.jpg does not exist: .*missing is', 'missing/a.jpg')
    self.refused('missing/.* does not exist: .*missing is', 'missing/*.jpg')
    self.refused('a.jpg does not exist; check', 'deeper/../a.jpg')
    self.zip(['a.txt'])
    self.refused(r'zip holds no photo \(1 .*; give a folder', 'photos.zip')
    for text in ('https://a.org/b.jpg', 'S3://c/*.jpg', 'file:///d'):
      with self.assertRaisesRegex(UserError, 'is a URL; give a path'):
        finding.find(text)
    with self.assertRaisesRegex(UserError, 'a path is empty'):
      finding.find('')

  def test_names_of_no_use(self):
    for name in ('a\nb.jpg', os.fsdecode(b'\xff.jpg')):
      self.add(name)
      self.refused('unprintable letters in its path; rename it')
      (self.root / name).unlink()
    self.zip(['a\nb/c.jpg'])
    self.refused('unprintable letters', 'photos.zip')
    self.add('a b.jpg', '車.jpg', 'x' * 200 + '.jpg', '車' * 67 + '.jpg')
    self.add('a\nb.jpg')
    found, rest = finding.look(str(self.root))
    self.assertLen(found, 3)
    self.assertIn(r"'a\nb.jpg' (unprintable letters", str(rest))
    self.assertIn('(name of more than 200 bytes; shorten it)', str(rest))

  def test_vanished(self):
    self.add('a.jpg')
    (photo,) = finding.find(str(self.root))
    (self.root / 'a.jpg').unlink()
    with self.assertRaisesRegex(UserError, 'a.jpg cannot be read .*; replace'):
      photo.read()

  def test_pixels(self):
    lying = Image.Exif()
    lying[274] = 6
    path = self.zip({'a.jpg': jpg(50), 'b.jpg': jpg(99, exif=lying)})
    upright, turned = finding.find(str(path))
    np.testing.assert_array_equal(upright.pixels(), np.full((16, 32, 3), 50))
    np.testing.assert_array_equal(turned.pixels(), np.full((32, 16, 3), 99))

  def test_wrong_bytes(self):
    (self.root / 'a.jpg').write_bytes(photo_files.garbled(jpg(50)))
    (photo,) = finding.find(str(self.root))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      self.assertEqual(photo.pixels().shape, (16, 32, 3))
    (line,) = printed.getvalue().splitlines()
    self.assertRegex(
      line, r'a.jpg may look wrong.*\(Corrupt JPEG.*\); it is used'
    )
    with self.assertRaisesRegex(
      UserError, 'a.jpg may look .* replace or remove'
    ):
      photo.pixels(strict=True)

  def test_no_photo_in_spite_of_its_name(self):
    self.add('a.jpg')
    (self.root / 'b.jpg').write_bytes(jpg()[:-20])
    text, cut = finding.find(str(self.root))
    with self.assertRaisesRegex(UserError, 'a.jpg is no JPG.*; replace'):
      text.pixels()
    with self.assertRaisesRegex(UserError, 'b.jpg is damaged; replace'):
      cut.pixels()
