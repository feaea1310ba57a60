"""Folders with links in a circle, with results, and that can't be read."""

import contextlib
import os
import pathlib
import tempfile
from unittest import mock

import chex

from carvana_jax.inference import folders, left_out
from carvana_jax.system.errors import UserError
from tests.helpers import photo_files


class SearchTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def add(self, *names):
    photo_files.add(self.root, *names)

  def link(self, name, target):
    (self.root / name).symlink_to(target)

  def below(self, recursive=True, own=()):
    """The files in the folder, and what is left out."""
    rest = left_out.LeftOut()
    search = folders.Search(recursive, [self.root / x for x in own], rest)
    return self.seen(search.below(str(self.root))), str(rest)

  def matches(self, pattern, own=(), recursive=False):
    """The files that a pattern matches, and what is left out."""
    rest = left_out.LeftOut()
    search = folders.Search(recursive, [self.root / x for x in own], rest)
    return self.seen(search.matches(f'{self.root}/{pattern}')), str(rest)

  def seen(self, paths):
    return sorted(os.path.relpath(path, self.root) for path in paths)

  def test_each_folder_once_whatever_links_there_are(self):
    self.add('a/1.jpg', 'b/c/2.jpg')
    self.link('a/up', '..')
    self.link('b/above', self.root.parent)
    self.link('b/a', '../a')
    self.link('0', 'a')
    found = ['a/1.jpg', 'b/c/2.jpg']
    seen = (
      '4 left out: 0/, a/up/, b/a/ … and 1 more (link to a folder above it, or'
      ' taken already)'
    )
    self.assertEqual(self.below(), (found, seen))
    self.assertEqual(self.matches('**'), (found, seen))
    self.assertEqual(self.matches('**/*.jpg')[0], found)

  def test_folders_elsewhere_are_entered(self):
    other = self.enterContext(tempfile.TemporaryDirectory())
    pathlib.Path(other, '1.jpg').write_bytes(b'')
    self.link('linked', other)
    self.assertEqual(self.below(), (['linked/1.jpg'], ''))

  def test_the_first_of_two_links_names_a_folder(self):
    other = self.enterContext(tempfile.TemporaryDirectory())
    pathlib.Path(other, '1.jpg').write_bytes(b'')
    for name in 'abc':
      self.link(name, other)
    scandir = os.scandir
    for reverse in (False, True):

      def ordered(path, reverse=reverse):
        found = sorted(scandir(path), key=lambda x: x.name, reverse=reverse)
        return contextlib.nullcontext(found)

      with mock.patch.object(os, 'scandir', ordered):
        self.assertEqual(self.below()[0], ['a/1.jpg'])

  def test_litter_is_no_match_unless_it_is_written_out(self):
    self.add(
      'x/1.jpg', '$RECYCLE.BIN/2.jpg', '@eaDir/x.jpg/3.jpg', 'x/Thumbs.db',
      'x/1.jpg:Zone.Identifier', '.y/4.jpg',
    )  # fmt: skip
    self.assertEqual(self.matches('*/*.jpg'), (['x/1.jpg'], ''))
    self.assertEqual(self.matches('*/*'), (['x/1.jpg'], ''))
    self.assertEqual(self.matches('*', recursive=True), (['x/1.jpg'], ''))
    for name in ('$RECYCLE.BIN/2.jpg', '.y/4.jpg', '@eaDir/x.jpg/3.jpg'):
      pattern = name.replace('.jpg', '.jp*')
      self.assertEqual(self.matches(pattern), ([name], ''))

  def test_links_to_nowhere_and_in_circles_are_files(self):
    self.link('a.jpg', 'a.jpg')
    self.link('b.jpg', 'missing')
    self.link('c.jpg', 'd.jpg')
    self.link('d.jpg', 'c.jpg')
    found = ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'], ''
    self.assertEqual(self.below(recursive=False), found)
    self.assertEqual(self.matches('*.jpg'), found)

  def test_results(self):
    self.add('1.jpg', 'out/1_mask.png', 'out/car1/2_mask.png', 'x/2.jpg')
    settings = self.root / 'out/settings.json'
    settings.write_text('{"networks": []}')
    self.link('linked', 'out')
    photos = ['1.jpg', 'x/2.jpg']
    results = '2 left out: linked/, out/ (results of predict or submit)'
    self.assertEqual(self.below(), (photos, results))
    self.assertEqual(self.matches('**'), (photos, results))
    self.assertEqual(self.matches('**/*'), (photos, results))
    self.assertEqual(self.matches('*/*'), (photos[1:], results))
    # Of one's own nothing is said, by whatever name.
    for own in (['out'], ['linked'], ['x/../out']):
      self.assertEqual(self.below(own=own), (photos, ''))
      self.assertEqual(self.matches('*/*', own=own), (photos[1:], ''))
    # A folder of photos that is to be the output, which predict refuses.
    settings.write_text('{}')
    self.assertIn('out/1_mask.png', self.below(own=['out'])[0])

  def test_own_files(self):
    self.add('1.jpg', 's.csv', 's.csv.parts/settings.json')
    own = ['s.csv', 's.csv.parts']
    self.assertEqual(self.below(False, own), (['1.jpg'], ''))
    self.assertEqual(self.matches('*', own), (['1.jpg'], ''))
    self.assertEqual(self.below(False)[0], ['1.jpg', 's.csv'])

  def test_folders_that_can_not_be_read(self):
    self.add('1.jpg', 'a/2.jpg')
    scandir = os.scandir

    def denied(path):
      if str(path).endswith(name):
        raise PermissionError(13, 'Permission denied')
      return scandir(path)

    with mock.patch.object(os, 'scandir', denied):
      name = '/a'
      self.assertEqual(
        self.below(),
        (['1.jpg'], '1 left out: a/ (cannot be read: Permission denied)'),
      )
      name = self.root.name
      with self.assertRaisesRegex(UserError, 'cannot be read .*change its'):
        self.below()

  def test_fixed_part(self):
    self.add('a [1]/b.jpg')
    root = str(self.root)
    for pattern, expected in {
      'a.jpg': ('', ['a.jpg']),
      './a/*.jpg': ('./a', ['*.jpg']),
      '/x//y/*/z': ('/x/y', ['*', 'z']),
      '**': ('', ['**']),
      'x[1]/a': ('', ['x[1]', 'a']),
      f'{root}/a [1]/*': (f'{root}/a [1]', ['*']),
    }.items():
      self.assertEqual(folders.fixed_part(pattern), expected)
