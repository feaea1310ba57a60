"""The page on a data set: a folder of photos that are known pixel by pixel."""

import contextlib
import io
import pathlib
import re
import tempfile

import numpy as np
from absl.testing import absltest
from PIL import Image

from carvana_jax.configs import debug
from carvana_jax.datasets import prepare
from carvana_jax.reporting import data_page
from carvana_jax.system.errors import UserError
from tests.helpers import browser

HIGH, WIDE = 40, 60
# Top and left of the object, 10x10, in each view of a group.
PLACES = ((5, 5), (5, 35), (25, 20))
# Groups by their folds 1, 0 and 7: validation, test and train.
GROUPS = {'shoe33': 'validation', 'shoe07': 'test', 'shoe01': 'train'}
PICTURES = {
  'cars.png', 'views.png', 'mean_and_median.png', 'difference_from_mean.png',
  'difference_from_median.png', 'empty_studio.png', 'samples.png',
}  # fmt: skip


def studio(number):
  random = np.random.default_rng(number)
  blocks = random.integers(0, 100, (4, 6, 3)).astype(np.uint8)
  return blocks.repeat(10, 0).repeat(10, 1)


def cells(text):
  """{first cell: other cells} of the rows of a table."""
  rows = [
    re.findall('<t[hd]>(.*?)</t[hd]>', line)
    for line in re.findall('<tr>(.*)</tr>', text)
  ]
  return {first: rest for first, *rest in rows}


class DataPageTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.photos = self.root / 'own/images'
    self.masks = self.root / 'own/masks'
    self.photos.mkdir(parents=True)
    self.masks.mkdir()
    self.output = self.root / 'page'
    prepare._say.cache_clear()
    for number, group in enumerate(GROUPS):
      for view, place in enumerate(PLACES, 1):
        self.add(f'{group}_{view}', number, place)

  def add(self, name, number, place):
    photo, mask = studio(number), np.zeros((HIGH, WIDE), np.uint8)
    area = tuple(slice(x, x + 10) for x in place)
    photo[area], mask[area] = (230, 20, 20), 255
    Image.fromarray(photo).save(self.photos / f'{name}.png')
    Image.fromarray(mask).save(self.masks / f'{name}.png')

  def config(self):
    config = debug.get_config()
    config.data.update(
      dataset='folder', manual_dir=str(self.root / 'own'), full_size='',
      data_dir=str(self.root / 'data'), size='16x32', fit='pad',
    )  # fmt: skip
    config.train.batch_size = 2
    return config

  def write(self, car=None):
    with (
      contextlib.redirect_stdout(io.StringIO()),
      contextlib.redirect_stderr(io.StringIO()),
    ):
      return data_page.write(self.config(), self.output, car)

  def test_whole(self):
    Image.fromarray(studio(9)).save(self.photos / 'shoe33_4.png')  # no mask
    paths, rows, sentences = self.write('shoe33')
    self.assertEqual(
      {x.name for x in self.output.iterdir()}, PICTURES | {'explore.html'}
    )
    self.assertEqual({x.name for x in paths}, PICTURES | {'explore.html'})
    self.assertEqual(
      [(x['split'], x['photos'], x['without mask']) for x in rows],
      [('train', 3, 0), ('validation', 3, 0), ('test', 3, 0),
       ('unlabeled', 1, 1), ('all', 10, 1)],
    )  # fmt: skip
    self.assertIn('without mask: 1 photo (shoe33_4.png)', sentences)
    text = data_page.text(rows, sentences)
    self.assertLessEqual(max(map(len, text.splitlines())), 80)

    # Each view hides another part, so nothing stays unknown.
    with Image.open(self.output / 'empty_studio.png') as image:
      np.testing.assert_array_equal(np.asarray(image), studio(0))

    page = paths[0].read_text()
    self.assertTrue('3 of 3 views show the same empty studio' in page)
    table = cells(page)
    # Without what is padded around the photos, which is a quarter.
    self.assertEqual(
      table['share of the frame'][-1], f'{100 / (HIGH * WIDE):.3f}'
    )
    self.assertEqual(table['centre, from the left'][0], f'{10 / WIDE:.3f}')
    self.assertEqual(table['centre, from the top'][-2], f'{30 / HIGH:.3f}')
    self.assertEqual(table['red'][:3], ['3', '9', '100.0 %'])
    sizes = {x: y[0] for x, y in table.items() if len(y) == 2}
    self.assertEqual(sizes['photos at full size, uint8'], '9 x 40 x 60 x 3')
    self.assertEqual(
      sizes['the network&#x27;s input, float32'], '9 x 16 x 32 x 3'
    )
    # Not by `assertNotRegex`, which would print all of the page.
    self.assertIsNone(re.search('(src|href)="(?!data:|#)', page))
    browser.require()
    found = browser.look(paths[0], 360, self.root)
    self.assertEqual(found['problems'], [])
    self.assertEqual((found['broken'], found['too_wide']), (0, False))

  def test_incomplete_in_place_of_an_earlier_page(self):
    # A mask without a photo can't be prepared, but is told of.
    (self.photos / 'shoe01_2.png').unlink()
    self.output.mkdir()
    (self.output / 'explore.html').write_text('<title>A look at folder')
    for name in ('cars.png', 'mine.png'):
      (self.output / name).write_text('old')
    paths, rows, sentences = self.write()
    self.assertEqual(
      {x.name for x in self.output.iterdir()}, {'explore.html', 'mine.png'}
    )
    self.assertLen(paths, 1)
    self.assertEqual(rows[-1]['without photo'], 1)
    self.assertIn('without photo: 1 mask (shoe01_2.png)', sentences)
    self.assertStartsWith(sentences[-1], 'so there are no pictures: ')

  def test_views_of_a_camera_that_moves(self):
    for view, place in enumerate(PLACES, 1):
      self.add(f'shoe33_{view}', 10 + view, place)
    paths, *_ = self.write('shoe33')
    self.assertEqual(
      {x.name for x in paths}, PICTURES - {'empty_studio.png'} | {paths[0].name}
    )
    page = paths[0].read_text()
    self.assertTrue('of the views 1, 2, 3 no two show the same.' in page)

  def test_no_split_and_a_group_that_is_not_there(self):
    for group in ('shoe33', 'shoe07'):
      for path in (
        *self.photos.glob(f'{group}*'),
        *self.masks.glob(f'{group}*'),
      ):
        path.unlink()
    self.write()
    text = (self.output / 'explore.html').read_text()
    self.assertTrue('no split for training: ' in text)
    self.assertTrue('There are no samples of training' in text)
    self.assertTrue((self.output / 'cars.png').exists())
    self.assertFalse((self.output / 'samples.png').exists())
    with self.assertRaisesRegex(UserError, 'no group shoe99 with masks'):
      self.write('shoe99')

  def test_refusals(self):
    self.output.mkdir()
    (self.output / 'cars.png').write_text('mine')
    with self.assertRaisesRegex(UserError, 'cars.png that explore did not'):
      self.write()
    self.output = self.photos / 'page'
    with self.assertRaisesRegex(UserError, 'taken for photos'):
      self.write()


if __name__ == '__main__':
  absltest.main()
