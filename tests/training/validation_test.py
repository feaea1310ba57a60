"""Sample pictures of a network, whatever it predicts."""

import warnings

import chex
import numpy as np

from carvana_jax.training import validation


class PicturesTest(chex.TestCase):
  def test_of_a_network_that_predicts_nan(self):
    count = 8
    made = object.__new__(validation.Validation)
    batch = {
      'image': np.full((count, 2, 3, 3), 9, np.uint8),
      'mask': np.full((count, 2, 3), 255, np.uint8),
      'weight': np.ones(count, np.float32),
    }
    made._batches = lambda: [batch]
    made._predict = lambda _, batch: np.full(batch['mask'].shape, np.nan)
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      strips = made.pictures(None)
    row = 3 * [[9] * 3] + 3 * [[255] * 3] + 3 * [[0] * 3]
    np.testing.assert_array_equal(strips, np.full((4, 2, 9, 3), row))
