"""Choices worked out by hand; scores are measured once."""

import contextlib
import io
import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np

from carvana_jax.masks import from_logits
from carvana_jax.workflows import ensemble_scores, out_of_fold


def scores(plain, flipped, car='a'):
  """Two photos whose Dice at every threshold is 0 but where it is said."""
  dice = np.zeros((2, 2, 256))
  for number, levels in enumerate((plain, flipped)):
    for level, values in levels.items():
      dice[number, :, level] = values
  names = np.array([f'{car}_01.jpg', f'{car}_02.jpg'])
  return out_of_fold.Scores(names, np.array([car] * 2), np.array([1, 2]), dice)


class ChoiceTest(chex.TestCase):
  def test_best_mean_over_the_photos_of_all_folds(self):
    # Level 130 is the best of the first fold, 120 of both together.
    first = scores({120: (0.6, 0.8), 130: (0.9, 0.9)}, {})
    second = scores({120: (0.9, 0.9), 130: (0.1, 0.1)}, {}, 'b')
    flip, threshold = out_of_fold.best_flip([first, second])
    self.assertFalse(flip)
    self.assertEqual(threshold, from_logits.threshold_of(120))

  def test_flips_only_where_they_are_better(self):
    for dice, expected in ((0.80, False), (0.81, True)):
      found = scores({128: (0.7, 0.9)}, {140: (dice, dice)})
      flip, threshold = out_of_fold.best_flip([found])
      self.assertEqual(flip, expected)
      self.assertEqual(
        threshold, from_logits.threshold_of(140 if expected else 128)
      )

  def test_rows(self):
    first = scores({128: (0.5, 0.6), 130: (0.7, 0.9)}, {128: (0.1, 0.2)})
    second = scores({130: (0.3, 0.4)}, {130: (0.25, 0.35)}, 'b')
    rows = out_of_fold.rows(
      [first, second],
      from_logits.threshold_of(130),
      np.array([0.71, 0.91, 0.31, 0.41]),
    )
    self.assertEqual(
      [row['filename'] for row in rows],
      ['b_01.jpg', 'b_02.jpg', 'a_01.jpg', 'a_02.jpg'],
    )
    self.assertEqual([row['fold'] for row in rows], [2, 2, 1, 1])
    self.assertEqual(
      rows[0],
      {
        'filename': 'b_01.jpg', 'car_id': 'b', 'view': 1, 'fold': 2,
        'dice': 0.0, 'dice_flip': 0.0, 'dice_threshold': 0.3,
        'dice_flip_threshold': 0.25, 'dice_chosen': 0.31,
      },
    )  # fmt: skip
    self.assertEqual(rows[2]['dice'], 0.5)
    self.assertEqual(rows[2]['dice_flip'], 0.1)
    # No flip, and no other cleaning.
    choice = out_of_fold.Choice(False, from_logits.threshold_of(130), 'none')
    table = ensemble_scores.gains_out_of_fold(rows, choice)
    self.assertEqual(
      [row['name'] for row in table],
      ['one network', 'flip, not chosen', 'threshold 0.531', 'cleaning: none'],
    )
    expected = (0.275, 0.075, 0.575, 0.585)
    for row, mean in zip(table, expected, strict=True):
      self.assertAlmostEqual(row['dice_mean'], mean)
    self.assertEqual((table[0]['images'], table[0]['cars']), (4, 2))
    # Two cars: an interval ends where both draws are of one.
    np.testing.assert_allclose(table[0]['dice_interval'], (0, 0.55))


class LoadOrComputeTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = root / 'new' / 'x.npz'
    self.computed = []

  def get(self, step):
    """The array of an origin; what is printed is kept."""

    def compute():
      self.computed.append(step)
      return {'x': np.arange(3) + step}

    with contextlib.redirect_stdout(io.StringIO()) as printed:
      arrays = out_of_fold.load_or_compute(self.path, {'step': step}, compute)
    self.printed = printed.getvalue()
    return arrays['x'].tolist()

  def test_is_computed_once_for_an_origin(self):
    for _ in range(2):
      self.assertEqual(self.get(1), [1, 2, 3])
      self.assertEqual(self.printed, '')
    self.assertEqual(self.get(5), [5, 6, 7])
    self.assertEqual(
      self.printed,
      f'{self.path} is of other networks, data or settings; it is made again\n',
    )
    self.assertEqual(self.computed, [1, 5])

  def test_is_computed_again_if_damaged(self):
    self.get(5)
    whole = self.path.read_bytes()
    damaged = [b'', b'text', whole[:-20]]
    for position in range(0, len(whole) - 22, 7):  # the end counts the files
      other = bytes([whole[position] ^ 255])
      damaged.append(whole[:position] + other + whole[position + 1 :])
    for content in damaged:
      self.path.write_bytes(content)
      self.assertEqual(self.get(5), [5, 6, 7])
    for content in damaged[:3]:
      self.path.write_bytes(content)
      self.get(5)
      self.assertStartsWith(self.printed, f'{self.path} is damaged (')
    self.assertGreater(len(self.computed), 4)

  def test_other_errors_are_raised(self):
    self.get(5)
    with (
      mock.patch.object(np, 'load', side_effect=AttributeError('a mistake')),
      self.assertRaisesRegex(AttributeError, 'a mistake'),
    ):
      self.get(5)
