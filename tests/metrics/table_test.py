"""The table of metrics: a new row is taken, averaged and printed."""

from unittest import mock

import chex
import numpy as np

from carvana_jax.metrics import border, table


def scored_image():
  predicted = np.zeros((8, 12), bool)
  predicted[2:6, 3:9] = True
  actual = np.zeros((8, 12), bool)
  actual[2:6, 4:9] = True
  pair = border.mask_pair(predicted, actual)
  box = np.array([0, 0, 8, 12])
  return table.ScoredImage(predicted, actual, pair, (8, 12), box)


COLUMNS = [
  'dice', 'iou', 'accuracy', 'dice_band_2', 'dice_band_4', 'dice_band_8',
  'hausdorff_95', 'surface_distance', 'ceiling_soft', 'ceiling_hard',
]  # fmt: skip


class TableTest(chex.TestCase):
  def test_scores_and_their_means_keep_the_order_of_the_columns(self):
    scores = table.scores(scored_image())
    self.assertEqual(list(scores), COLUMNS)
    self.assertAlmostEqual(scores['dice'], 2 * 20 / 44)
    self.assertAlmostEqual(scores['accuracy'], 92 / 96)
    self.assertEqual(scores['ceiling_hard'], 1)
    means = table.means([scores, scores | {'iou': 0}])
    self.assertEqual(list(means), [f'{name}_mean' for name in COLUMNS[1:]])
    self.assertAlmostEqual(means['iou_mean'], 20 / 24 / 2)

  def test_every_metric_is_printed_once(self):
    values = {
      metric.mean_key: number / 100
      for number, metric in enumerate(table.METRICS.values(), 1)
    }
    self.assertEqual(
      table.lines(values),
      [
        'ceiling     0.01000 with soft masks,  0.02000 with hard ones',
        'IoU         0.03000',
        'accuracy    0.04000',
        'border      0.05000 (2 pixels)  0.06000 (4)  0.07000 (8), Dice',
        'distance       0.08 pixels,     0.09 at 95 % (Hausdorff)',
      ],
    )

  def test_a_row_is_all_that_a_new_metric_needs(self):
    count = lambda image: {'pixels': np.count_nonzero(image.predicted)}
    row = table.Metric('pixels', count, 'pixels of car, mean', '.1f', 'pixels')
    with mock.patch.dict(table.METRICS, pixels=row):
      scores = table.scores(scored_image())
      means = table.means([scores, scores | {'pixels': 0}])
      lines = table.lines(means)
    self.assertEqual(list(scores), [*COLUMNS, 'pixels'])
    self.assertEqual(scores['pixels'], 24)
    self.assertEqual(lines[-1], 'pixels         12.0')
    self.assertEqual(row.text('24'), '24.0')
