"""What each step of a cross-validation adds, from scores made by hand."""

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.workflows import ensemble_scores, gains, out_of_fold

CARS = np.array(['a', 'a', 'b', 'b'])
SCORES = ensemble_scores.Scores(
  car_id=CARS,
  single=np.array([[0.5, 0.5, 0.5, 0.1], [0.7, 0.7, 0.7, 0.3]]),
  mean=np.array([0.71, 0.71, 0.71, 0.61]),
  flip=np.array([0.72, 0.72, 0.72, 0.62]),
  threshold=np.array([0.73, 0.73, 0.73, 0.63]),
  cleaning=np.array([0.74, 0.74, 0.74, 0.64]),
)


def figures(rows):
  """{name: (mean, worst)}"""
  return {
    row['name']: (round(row['dice_mean'], 9), round(row['dice_worst'], 9))
    for row in rows
  }


class GainsTest(chex.TestCase):
  @parameterized.parameters(True, False)
  def test_on_test(self, flip):
    choice = out_of_fold.Choice(flip, 0.45, 'holes')
    expected = {
      'one network, mean of 2': (0.5, 0.2),
      'their ensemble': (0.685, 0.61),
      'flip': (0.695, 0.62),
      'threshold 0.450': (0.705, 0.63),
      'cleaning: holes': (0.715, 0.64),
    }
    if not flip:
      del expected['flip']
    rows = gains.on_test(SCORES, choice)
    self.assertEqual(figures(rows), expected)
    for row in rows:
      self.assertEqual((row['images'], row['cars']), (4, 2))
      low, high = row['dice_interval']
      self.assertBetween(row['dice_mean'], low, high)

  @parameterized.parameters(
    (True, 'flip', 0.7), (False, 'flip, not chosen', 0.6)
  )
  def test_on_folds(self, flip, name, threshold):
    columns = {
      'dice': 0.4, 'dice_flip': 0.5, 'dice_threshold': 0.6,
      'dice_flip_threshold': 0.7, 'dice_chosen': 0.8,
    }  # fmt: skip
    rows = [{'car_id': car, **columns} for car in CARS]
    choice = out_of_fold.Choice(flip, 0.45, 'none')
    self.assertEqual(
      figures(gains.on_folds(rows, choice)),
      {
        'one network': (0.4, 0.4),
        name: (0.5, 0.5),
        'threshold 0.450': (threshold, threshold),
        'cleaning: none': (0.8, 0.8),
      },
    )
