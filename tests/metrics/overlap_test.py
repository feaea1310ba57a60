"""Metrics against values computed by hand."""

import chex
import jax.numpy as jnp
import numpy as np

from carvana_jax.metrics import overlap


def score(predicted, actual, **options):
  """Scores of one image of labels, as floats."""
  logits = jnp.where(jnp.array([predicted]) > 0, 2.0, -2.0)
  values = overlap.scores(logits, jnp.array([actual], jnp.float32), **options)
  return {name: float(value[0]) for name, value in values.items()}


class MetricsTest(chex.TestCase):
  def test_by_hand(self):
    # 3 pixels predicted, 2 are car, 1 in common, 6 in all.
    result = score([[1, 1, 1], [0, 0, 0]], [[0, 0, 1], [0, 0, 1]])
    self.assertAlmostEqual(result['dice'], 2 / 5, 6)
    self.assertAlmostEqual(result['iou'], 1 / 4, 6)
    self.assertAlmostEqual(result['accuracy'], 3 / 6, 6)

  def test_two_empty_masks_agree(self):
    result = score([[0, 0]], [[0, 0]])
    self.assertEqual(result, {'dice': 1.0, 'iou': 1.0, 'accuracy': 1.0})

  def test_one_empty_mask(self):
    for masks in (([[1, 0]], [[0, 0]]), ([[0, 0]], [[1, 0]])):
      result = score(*masks)
      self.assertEqual(result, {'dice': 0.0, 'iou': 0.0, 'accuracy': 0.5})

  def test_equal_and_opposite_masks(self):
    self.assertEqual(score([[1, 0]], [[1, 0]])['dice'], 1.0)
    self.assertEqual(score([[1, 0]], [[0, 1]])['accuracy'], 0.0)

  def test_smooth_by_hand(self):
    result = score([[1, 1, 1], [0, 0, 0]], [[0, 0, 1], [0, 0, 1]], smooth=1)
    self.assertAlmostEqual(result['dice'], (2 + 1) / (5 + 1), 6)
    self.assertAlmostEqual(result['iou'], (1 + 1) / (4 + 1), 6)
    self.assertAlmostEqual(result['accuracy'], 3 / 6, 6)
    self.assertEqual(score([[0]], [[0]], smooth=1)['dice'], 1.0)
    self.assertEqual(score([[1]], [[0]], smooth=1)['dice'], 1 / 2)

  def test_masks_on_the_host_score_the_same(self):
    rng = np.random.default_rng(0)
    cases = list(rng.uniform(size=(3, 2, 5, 7)) > 0.4)
    cases += [np.zeros((2, 5, 7), bool)]
    for predicted, actual in cases:
      expected = score(predicted.astype(int), actual)
      result = overlap.mask_scores(predicted, actual)
      chex.assert_trees_all_close(result, expected, rtol=1e-6)

  def test_soft_target_is_car_from_one_half_on(self):
    result = score([[1, 0, 0]], [[0.5, 0.49, 0.0]])
    self.assertEqual(result['dice'], 1.0)

  def test_threshold_is_a_probability(self):
    logits = jnp.log(jnp.array([[[0.55, 0.65, 0.75]]]))
    logits -= jnp.log1p(-jnp.exp(logits))
    target = jnp.ones((1, 1, 3))
    for threshold, right in ((0.5, 3), (0.6, 2), (0.7, 1), (0.8, 0)):
      accuracy = overlap.scores(logits, target, threshold)['accuracy']
      self.assertAlmostEqual(float(accuracy[0]), right / 3, 6)

  def test_counts_are_exact_at_full_size(self):
    # One wrong pixel of 2.5 million car pixels, lost by float32 sums.
    actual = np.ones((1280, 1918), np.float32)
    predicted = actual.copy()
    predicted[0, 0] = 0
    result = score(predicted, actual)
    pixels = actual.size
    self.assertAlmostEqual(result['dice'], 2 * (pixels - 1) / (2 * pixels - 1))
    self.assertLess(result['dice'], 1)

  def test_one_score_an_image(self):
    logits = jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]])
    values = overlap.scores(logits, jnp.ones((2, 1, 2)))
    chex.assert_trees_all_close(values['iou'], jnp.array([1.0, 0.5]))
