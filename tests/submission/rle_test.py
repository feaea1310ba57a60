"""Runs by hand, against plain Python, and of real masks."""

import pathlib
import unittest

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from PIL import Image

from carvana_jax.submission import rle

REAL = pathlib.Path(__file__).parents[2].parent / 'shared' / 'carvana'
FULL = (1280, 1918)
LAST = 1280 * 1918

# The same examples every time.
examples = hypothesis.settings(
  derandomize=True, deadline=None, max_examples=100
)
masks = hypothesis_numpy.arrays(bool, st.tuples(*2 * [st.integers(1, 9)]))


def reference_encode(mask):
  """Pixel after pixel."""
  runs = []
  number = 0
  inside = False
  for line in mask.tolist():
    for is_car in line:
      number += 1
      if is_car and inside:
        runs[-1][1] += 1
      elif is_car:
        runs.append([number, 1])
      inside = is_car
  return ' '.join(f'{start} {length}' for start, length in runs)


def reference_decode(numbers, size):
  """The challenge's rules as published: sorted, positive, no pixel twice.

  Returns the mask, or None where a rule is broken.
  """
  height, width = size
  pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
  if 2 * len(pairs) != len(numbers) or pairs != sorted(pairs):
    return None
  pixels = [start + i for start, length in pairs for i in range(length)]
  if any(number < 1 for number in numbers) or len(set(pixels)) != len(pixels):
    return None
  if any(pixel > height * width for pixel in pixels):
    return None
  mask = np.zeros(size, bool)
  for pixel in pixels:
    mask[(pixel - 1) // width, (pixel - 1) % width] = True
  return mask


class EncodeTest(chex.TestCase):
  def test_by_hand(self):
    mask = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 1]], bool)
    self.assertEqual(rle.encode(mask), '2 2 8 2 12 1')

  @parameterized.parameters(
    ([], ''),
    ([(0, 0)], '1 1'),
    ([(1279, 1917)], f'{LAST} 1'),
    ([(0, 0), (1279, 1917)], f'1 1 {LAST} 1'),
    ([(0, 1917), (1, 0)], '1918 2'),  # over the end of a row
    ([(1, 1917), (3, 0)], '3836 1 5755 1'),
  )
  def test_pixels_of_a_photo(self, pixels, text):
    mask = np.zeros(FULL, bool)
    for pixel in pixels:
      mask[pixel] = True
    self.assertEqual(rle.encode(mask), text)
    np.testing.assert_array_equal(rle.decode(text, FULL), mask)

  def test_full_photo(self):
    full = np.ones(FULL, bool)
    self.assertEqual(rle.encode(full), f'1 {LAST}')
    np.testing.assert_array_equal(rle.decode(f'1 {LAST}', FULL), full)

  def test_checkerboard(self):
    mask = np.indices(FULL).sum(0) % 2 == 0
    text = rle.encode(mask)
    self.assertStartsWith(text, '1 1 3 1 5 1 ')
    # 959 runs a row; the last of every second row goes on in the next row.
    self.assertLen(text.split(), 2 * (1280 * 959 - 639))
    np.testing.assert_array_equal(rle.decode(text, FULL), mask)

  def test_part_of_a_picture(self):
    # Not contiguous in memory, and not to be changed.
    picture = np.tile([[True, True, False]], (4, 2))
    picture.flags.writeable = False
    self.assertEqual(rle.encode(picture[::2, 1:5]), '1 1 3 3 7 2')
    self.assertEqual(rle.encode(picture.T), '1 8 13 8')

  @examples
  @hypothesis.given(masks)
  def test_agrees_with_plain_python(self, mask):
    text = rle.encode(mask)
    self.assertEqual(text, reference_encode(mask))
    np.testing.assert_array_equal(rle.decode(text, mask.shape), mask)


class ColumnsTest(chex.TestCase):
  """Runs along the rows, and those of the mask's columns."""

  def are_down_columns(self, mask, size):
    return rle.are_down_columns(rle.runs(rle.encode(mask), size), size)

  @parameterized.parameters(
    (300, 800, 400, 1600),  # in the middle
    (0, 1270, 400, 1600),  # nearly from top to bottom
    (300, 800, 0, 1918),  # from side to side
    (300, 1280, 400, 1918),  # in a corner
    (700, 703, 900, 904),  # nearly nothing
    (3, 1000, 900, 910),  # upright
  )
  def test_boxes(self, top, bottom, left, right):
    mask = np.zeros(FULL, bool)
    mask[top:bottom, left:right] = True
    self.assertFalse(self.are_down_columns(mask, FULL))
    # From pixel to pixel as for a mask that is H wide.
    self.assertTrue(self.are_down_columns(mask.T, FULL))

  def test_what_can_not_be_told(self):
    for mask in (np.zeros(FULL, bool), np.ones(FULL, bool)):
      self.assertFalse(self.are_down_columns(mask, FULL))
    square = np.arange(16).reshape(4, 4) == 9
    self.assertFalse(self.are_down_columns(square.T, (4, 4)))


class DecodeTest(chex.TestCase):
  def test_by_hand(self):
    mask = rle.decode('2 2 8 2 12 1', (3, 4))
    self.assertEqual(mask.dtype, bool)
    expected = [[0, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 1]]
    np.testing.assert_array_equal(mask, expected)

  @parameterized.parameters('2 2 4 1', ' 2  3 ', '02 003', '2 1 3 1 4 1')
  def test_not_as_encoded_but_right(self, text):
    np.testing.assert_array_equal(rle.decode(text, (1, 5)), [[0, 1, 1, 1, 0]])

  @parameterized.parameters('', ' ', '   ')
  def test_empty(self, text):
    self.assertFalse(rle.decode(text, (3, 4)).any())
    self.assertEqual(rle.runs(text, (3, 4)).shape, (0, 2))

  @parameterized.parameters(
    ('1 2 x 1', "'x' is not a whole number"),
    ('1 2.0', "'2.0' is not a whole number"),
    ('1\t2', r"'1\t2' is not a whole number"),
    ('5-3 1', "'5-3' is not a whole number"),
    ('1_0 1', "'1_0' is not a whole number"),
    ('٣ 1', "'٣' is not a whole number"),
    ('\ud800 1', r"'\ud800' is not a whole number"),
    ('nan 1', "'nan' is not a whole number"),
    ('7', 'an odd count of numbers (1), not pairs of two'),
    ('1 2 5', 'an odd count of numbers (3), not pairs of two'),
    ('0 2', "run 1, '0 2', starts below pixel 1"),
    ('1 1 -5 2', "the start '-5' is below 1"),
    ('5 -2', "the length '-2' is below 1"),
    ('1 1 3 0', "run 2, '3 0', has length zero"),
    ('11 3', "run 1, '11 3', goes beyond the last pixel, 12"),
    ('1 1 13 1', "run 2, '13 1', goes beyond the last pixel, 12"),
    ('5 1 8 1 3 1', "run 3, '3 1', starts before run 2 does: runs must ascend"),
    ('3 1  5 3 7 2', "run 3, '7 2', overlaps run 2"),
    ('3 1 3 1', "run 2, '3 1', overlaps run 1"),
    ('0 0', "run 1, '0 0', starts below pixel 1"),
    (
      f'1 {2**63 - 1}',
      "run 1, '1 9223372036854775807', goes beyond the last pixel, 12",
    ),
    (
      f'1 {2**64 + 1}',  # modulo 2**64 that would be right
      "run 1, '1 18446744073709551617', goes beyond the last pixel, 12",
    ),
  )
  def test_refused(self, text, reason):
    for read in (rle.decode, rle.runs):
      with self.assertRaises(ValueError) as caught:
        read(text, (3, 4))
      self.assertEqual(str(caught.exception), reason)

  def test_last_pixel_of_a_photo(self):
    for text in (f'{LAST} 2', f'{LAST + 1} 1', f'2 {LAST}'):
      with self.assertRaisesRegex(ValueError, f'last pixel, {LAST}$'):
        rle.decode(text, FULL)
    # As of a picture 1920 pixels wide.
    with self.assertRaisesRegex(ValueError, 'last pixel'):
      rle.decode(f'{1920 * 1280} 1', FULL)

  @examples
  @hypothesis.given(st.lists(st.integers(-1, 14), max_size=6))
  def test_agrees_with_the_published_rules(self, numbers):
    self.check(numbers)

  @examples
  @hypothesis.given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3)), max_size=4)
  )
  def test_agrees_where_most_is_right(self, pairs):
    self.check([number for pair in sorted(pairs) for number in pair])

  def check(self, numbers):
    text = ' '.join(map(str, numbers))
    expected = reference_decode(numbers, (3, 4))
    if expected is None:
      with self.assertRaises(ValueError):
        rle.decode(text, (3, 4))
    else:
      np.testing.assert_array_equal(rle.decode(text, (3, 4)), expected)

  @examples
  @hypothesis.given(st.text() | st.text('0123456789 -'))
  def test_any_text_is_right_or_refused(self, text):
    try:
      runs = rle.runs(text, FULL)
    except ValueError:
      return
    expected = [int(word) for word in text.split()]
    self.assertEqual(runs.ravel().tolist(), expected)


@unittest.skipUnless(REAL.is_dir(), f'{REAL} is absent')
class RealMasksTest(chex.TestCase):
  def test_round_trip(self):
    paths = sorted((REAL / 'train_masks').iterdir())
    self.assertLen(paths, 952)
    for path in paths:
      with Image.open(path) as image:
        mask = np.asarray(image) == 1
      self.assertEqual(mask.shape, FULL)
      text = rle.encode(mask)
      self.assertTrue((rle.decode(text, FULL) == mask).all())
      runs = rle.runs(text, FULL)
      self.assertEqual(runs[:, 1].sum(), np.count_nonzero(mask))
      self.assertFalse(rle.are_down_columns(runs, FULL))
      columns = rle.runs(rle.encode(mask.T), FULL)
      self.assertTrue(rle.are_down_columns(columns, FULL))
      # None touch, so there are no fewer.
      self.assertTrue((runs[1:, 0] > runs[:-1].sum(1)).all())


if __name__ == '__main__':
  absltest.main()
