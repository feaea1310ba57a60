"""Which members of a ZIP are passed over."""

from absl.testing import absltest, parameterized

from carvana_jax.system import zip_archives


class ZipArchivesTest(parameterized.TestCase):
  @parameterized.parameters(
    '.a.jpg', '._a.jpg', '__MACOSX/a.jpg', 'x/__MACOSX/a.jpg', '.trash/a.jpg',
    'x/.../a.jpg', 'x/Thumbs.db', 'desktop.ini',
  )  # fmt: skip
  def test_litter(self, path):
    self.assertTrue(zip_archives.is_litter(path.split('/')))

  @parameterized.parameters(
    'a.jpg', 'x.y/a.jpg', './a.jpg', '../a.jpg', '/a.jpg', 'MACOSX/_a.jpg'
  )
  def test_no_litter(self, path):
    self.assertFalse(zip_archives.is_litter(path.split('/')))


if __name__ == '__main__':
  absltest.main()
