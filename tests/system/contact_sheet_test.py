"""Where tiles, labels and captions are on a sheet."""

import chex
import numpy as np
from absl.testing import parameterized
from scipy import ndimage

from carvana_jax.system import contact_sheet


class SheetTest(chex.TestCase):
  @parameterized.parameters((1, 1), (2, 2), (3, 3), (8, 4), (32, 8), (64, 8))
  def test_every_tile_is_in_its_row_and_column(self, count, columns):
    colours = [(i, 255 - i, 7) for i in range(count)]
    sizes = [(8, 12), (4, 6), (300, 450)]
    pictures = [
      np.full((*sizes[i % 3], 3), colour, np.uint8)
      for i, colour in enumerate(colours)
    ]
    page = contact_sheet.sheet(pictures, ['a'] * count, 'two\nlines')
    width = 1600 // max(columns, 2)
    numbers = np.where(page[..., 2] == 7, page[..., 0] + 1, 0)
    places = []
    for i, place in enumerate(ndimage.find_objects(numbers)):
      self.assertTrue((page[place] == colours[i]).all())
      self.assertEqual(page[place].shape[:2], (round(width * 2 / 3), width))
      places.append((place[0].start, place[1].start))
    self.assertLen(places, count)
    self.assertEqual(sorted(places), places)
    self.assertLen({left for _, left in places}, columns)
    self.assertLen({top for top, _ in places}, -(-count // columns))

  def test_columns_as_given(self):
    page = contact_sheet.sheet(
      [np.zeros((2, 3, 3), np.uint8)] * 6, ['a'] * 6, '', 5
    )
    # A gap of 8, then five tiles of a fifth of 1600, each with its gap.
    self.assertEqual(page.shape[1], 8 + 5 * (320 + 8))
    black = (page == 0).all(-1)
    self.assertLen(ndimage.find_objects(ndimage.label(black)[0]), 6)

  def test_labels_of_unlike_heights(self):
    picture = np.full((6, 6, 3), 9, np.uint8)
    pages = [
      contact_sheet.sheet([picture] * 2, labels, '')
      for labels in (['x', 'x\ny\nz'], ['x\ny\nz', 'x'])
    ]
    self.assertEqual(pages[0].shape, pages[1].shape)
    # All lines are there: as much ink, whichever tile they belong to.
    ink = [(page < 128).all(-1).sum() for page in pages]
    self.assertEqual(ink[0], ink[1])

  def test_labels_and_caption_are_clear_of_tiles(self):
    picture = np.full((6, 6, 3), 9, np.uint8)
    bare = contact_sheet.sheet([picture] * 2, ['', ''], '')
    page = contact_sheet.sheet(
      [picture] * 2, ['gypsy\ngy', 'x\ny'], 'caption, gy\ny'
    )
    self.assertEqual(page.shape[0] - bare.shape[0], 4 * 20)
    tile = lambda page: (page == 9).all(-1).sum()
    self.assertEqual(tile(page), tile(bare))
