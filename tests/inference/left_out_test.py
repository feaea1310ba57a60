"""Which files are left out in silence, and what is said of the others."""

import errno
import io
import os
import pathlib
import struct
import tempfile
import zipfile
from unittest import mock

from absl.testing import absltest
from PIL import Image

from carvana_jax.datasets import decoding
from carvana_jax.inference import finding, left_out, photos
from carvana_jax.system.errors import UserError


def encoded(kind, **options):
  stream = io.BytesIO()
  Image.new('RGB', (16, 16)).save(stream, kind, **options)
  return stream.getvalue()


class LeftOutTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def test_folder(self):
    for name in (
      'a.JPG', 'b.jfif', 'c.TIFF', 'd.bmp', 'e.avif', 'f.GIF', 'g.cr2',
      'h.txt', 'i.zip', '.DS_Store', 'Thumbs.db', 'desktop.ini', '.j.jpg',
      'Icon\r', 'a.JPG:Zone.Identifier',
    ):  # fmt: skip
      (self.root / name).write_bytes(b'')
    for name in ('__MACOSX', '@eaDir', '.hidden', 'inner'):
      (self.root / name).mkdir()
      (self.root / name / 'k.jpg').write_bytes(b'')
    (self.root / 'l').write_bytes(encoded('JPEG'))
    (self.root / 'm.jpg_large').write_bytes(encoded('JPEG'))
    (self.root / 'n').write_bytes(encoded('GIF'))
    os.mkfifo(self.root / 'o.jpg')  # to read it would take for ever
    found, rest = finding.look(str(self.root))
    self.assertEqual([photo.name for photo in found], list('abcde'))
    self.assertStartsWith(str(rest), '9 left out: ')
    self.assertCountEqual(
      str(rest).removeprefix('9 left out: ').replace('); ', ')|').split('|'),
      [
        'f.GIF, g.cr2, n (save it as JPG, PNG or TIFF)',
        'h.txt, o.jpg (no photo)',
        'i.zip (give it to --input by itself)',
        'inner/ (folder; --recursive takes its photos)',
        'l, m.jpg_large (a photo by its content; let its name end in .jpg)',
      ],
    )

  def test_zip(self):
    path = self.root / 'photos.ZIP'
    with zipfile.ZipFile(path, 'w') as archive:
      for name in ('x/a.JPG', 'x/b.gif', '__MACOSX/x/._a.JPG', '.c/d.gif',
                   'x/Thumbs.db', 'x/', '..'):  # fmt: skip
        archive.writestr(name, b'')
      archive.writestr('e', encoded('PNG'))
    found, rest = finding.look(str(path))
    self.assertEqual([photo.name for photo in found], ['a'])
    self.assertEqual(
      str(rest),
      '2 left out: x/b.gif (save it as JPG, PNG or TIFF); e (a photo by its'
      ' content; let its name end in .png)',
    )

  def test_what_is_missing(self):
    (self.root / 'a.heic').write_bytes(b'')
    (self.root / 'b.jpg').write_bytes(b'')
    lacking = {'.heic': 'pip install something'}
    with (
      mock.patch.object(decoding, 'ENDINGS', ('.jpg',)),
      mock.patch.object(decoding, 'LACKING', lacking),
    ):
      _, rest = finding.look(str(self.root))
    self.assertEqual(
      str(rest), '1 left out: a.heic (it needs: pip install something)'
    )

  def reason(self, data):
    return left_out.reason('a', lambda: io.BytesIO(data))

  def test_formats_are_told_by_their_content(self):
    ftyp = lambda *brands: struct.pack(
      f'>I4s{4 * len(brands)}s', 8 + 4 * len(brands), b'ftyp', b''.join(brands)
    )
    cases = [
      (encoded(kind), ending)
      for kind, ending in decoding.ENDING_OF.items()
      if kind != 'HEIF'
    ]
    cases += [
      (ftyp(b'mif1', bytes(4), b'mif1', b'avif'), '.avif'),
      (encoded('TIFF', big_tiff=True), '.tif'),
    ]
    heic = [ftyp(x, bytes(4), x) for x in (b'heic', b'hevc', b'hevs', b'msf1')]
    for data, ending in cases:
      self.assertEndsWith(self.reason(data), f'; let its name end in {ending}')
      self.assertTrue(
        left_out.is_photo_inside(lambda data=data: io.BytesIO(data))
      )
    for data in heic:
      with (
        mock.patch.object(decoding, 'ENDINGS', ('.heic',)),
        mock.patch.object(decoding, 'LACKING', {}),
      ):
        self.assertEndsWith(self.reason(data), '; let its name end in .heic')
      with mock.patch.object(decoding, 'LACKING', {'.heic': 'pip x'}):
        self.assertEqual(self.reason(data), 'by its content it needs: pip x')
    for data in (
      b'', b'BM is a text, of no picture', b'\xff\xd8', b'RIFF1234WAVE',
      encoded('PPM'), ftyp(b'isom', bytes(4), b'mp42'),
    ):  # fmt: skip
      self.assertEqual(self.reason(data), left_out.NO_PHOTO)
      self.assertFalse(
        left_out.is_photo_inside(lambda data=data: io.BytesIO(data))
      )

  def test_unreadable(self):
    for name in ('IMG', 'b.txt'):
      (self.root / name).write_bytes(encoded('JPEG'))
    (self.root / 'c.jpg').write_bytes(b'')
    denied = PermissionError(errno.EACCES, 'Permission denied')
    with mock.patch.object(photos, '_open', side_effect=denied):
      _, rest = finding.look(str(self.root))
      self.assertEqual(
        str(rest), '2 left out: IMG, b.txt (cannot be read: Permission denied)'
      )
      with self.assertRaisesRegex(
        UserError, r'IMG .*read: Permission denied\)'
      ):
        finding.find(str(self.root / 'IMG'))

  def test_file_without_an_ending(self):
    path = self.root / 'photo'
    path.write_bytes(encoded('WEBP'))
    (photo,) = finding.find(str(path))
    self.assertEqual(photo.pixels().shape, (16, 16, 3))

  def test_long_lists_and_names_are_cut(self):
    rest = left_out.LeftOut()
    self.assertEqual(str(rest), '')
    for number in range(40, 0, -1):
      rest.add(f'{number:02}.txt', left_out.NO_PHOTO)
    rest.add('a\nb', left_out.LINK)
    rest.add('c' * 250, left_out.LINK)
    cut = 'c' * 40
    self.assertEqual(
      str(rest),
      '42 left out: 01.txt, 02.txt, 03.txt … and 37 more (no photo); '
      f"'a\\nb', {cut}…{cut} (link in a ZIP)",
    )


if __name__ == '__main__':
  absltest.main()
