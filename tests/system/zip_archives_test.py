"""Which members of a ZIP are passed over, and which cannot be read."""

import io
import stat
import zipfile

from absl.testing import absltest, parameterized

from carvana_jax.system import zip_archives


class ZipArchivesTest(parameterized.TestCase):
  @parameterized.parameters(
    '.a.jpg', '._a.jpg', '__MACOSX/a.jpg', 'x/__MACOSX/a.jpg', '.trash/a.jpg',
    'x/.../a.jpg',
  )  # fmt: skip
  def test_litter(self, path):
    self.assertTrue(zip_archives.is_litter(path.split('/')))

  @parameterized.parameters(
    'a.jpg', 'x.y/a.jpg', './a.jpg', '../a.jpg', '/a.jpg', 'MACOSX/_a.jpg'
  )
  def test_no_litter(self, path):
    self.assertFalse(zip_archives.is_litter(path.split('/')))

  def test_links(self):
    member = zipfile.ZipInfo('a.jpg')
    for kind, expected in ((stat.S_IFLNK, True), (stat.S_IFREG, False)):
      member.external_attr = (kind | 0o777) << 16
      self.assertEqual(zip_archives.is_link(member), expected)

  def test_encryption(self):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
      archive.writestr('a.jpg', 'a')
    data = bytearray(stream.getvalue())
    for expected in (False, True):
      with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (member,) = archive.infolist()
        self.assertEqual(zip_archives.is_encrypted(member), expected)
        if expected:
          with self.assertRaises(zip_archives.READ_ERRORS):
            archive.read(member)
      data[data.rindex(b'PK\x01\x02') + 8] |= 1  # general purpose flag, bit 0


if __name__ == '__main__':
  absltest.main()
