"""Colours of feature maps by hand, and where tiles are on a sheet."""

import chex
import numpy as np
from absl.testing import parameterized
from scipy import ndimage

from carvana_jax.reporting import feature_maps
from carvana_jax.system import contact_sheet


class ColoursTest(chex.TestCase):
  def test_gray(self):
    found = feature_maps.gray(np.array([[-1.0, 0.0, 0.2], [0.5, 1.0, 7.0]]))
    expected = np.array([[0, 0, 51], [128, 255, 255]], np.uint8)
    chex.assert_trees_all_equal(found, np.stack([expected] * 3, -1))

  def test_signed(self):
    found = feature_maps.signed(np.array([[-3.0, -1.0], [0.0, 1.0]])).astype(
      int
    )
    self.assertEqual(found[0, 0].max(), 0)  # the least is black
    self.assertGreater(found[0, 1, 2], found[0, 1, 0])  # below zero is blue
    chex.assert_trees_all_close(found[0, 1, 2], 128, atol=1)  # half way up
    self.assertLess(found[1, 0, 2], found[1, 0, 0])
    self.assertEqual(found[1, 1].max(), 255)

  def test_a_channel_of_one_value(self):
    found = feature_maps.signed(np.full((2, 3), -0.5, np.float32))
    self.assertEqual(found.min(), found[0, 0].min())
    self.assertEqual(found.max(), 255)

  def test_principal_components_are_red_green_and_blue(self):
    y, x = np.mgrid[:40, :60]
    red, green, blue = x // 30, y // 20, (x + y) % 2
    parts = 9.0 * red, 5.0 * green, 1.0 * blue, 0 * x
    found = feature_maps.principal(np.stack(parts, -1))
    expected = 255 * np.stack([red, green, blue], -1).astype(np.uint8)
    chex.assert_trees_all_equal(found, expected)
    # Whichever way the channels were turned.
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    turned = feature_maps.principal(np.stack(parts, -1) @ turn).astype(int)
    for i in range(3):
      found = np.abs(turned[..., i] - turned[0, 0, i]).astype(np.uint8)
      chex.assert_trees_all_equal(found, expected[..., i])

  @parameterized.parameters(1, 2)
  def test_principal_component_of_few_channels_is_gray(self, count):
    ramp = np.linspace(-1, 1, 100).reshape(10, 10, 1)
    found = feature_maps.principal(ramp * np.ones(count)).astype(int)
    chex.assert_trees_all_equal(found[..., 0], found[..., 2])
    self.assertTrue((np.diff(found[..., 0].ravel()) >= 0).all())
    self.assertEqual((found.min(), found.max()), (0, 255))

  def test_nothing_to_see(self):
    found = feature_maps.principal(np.zeros((4, 5, 8), np.float32))
    self.assertEqual(found.shape, (4, 5, 3))


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
