"""BatchNorm: equal to Linen's where that is right, blind to padding."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from carvana_jax.models.norm import BatchNorm

X = np.random.default_rng(0).normal(3, 2, (4, 5, 6, 7)).astype(np.float32)
ONES = np.ones(4, np.float32)


def apply(x, weight, devices=1):
  """Output and new statistics of training mode, as one batch."""
  layer = BatchNorm(True, 'batch', momentum=0.9, epsilon=1e-5)
  variables = layer.init(jax.random.key(0), x, weight)
  split = lambda a: a.reshape(devices, -1, *a.shape[1:])
  step = lambda x, w: layer.apply(variables, x, w, mutable=['batch_stats'])
  y, updates = jax.vmap(step, axis_name='batch')(split(x), split(weight))
  return y.reshape(x.shape), updates['batch_stats']


class BatchNormTest(chex.TestCase):
  def test_agrees_with_linen(self):
    linen = nn.BatchNorm(use_running_average=False, momentum=0.9)
    variables = linen.init(jax.random.key(0), X)
    expected, updates = linen.apply(variables, X, mutable=['batch_stats'])
    y, stats = apply(X, ONES)
    chex.assert_trees_all_close(y, expected, atol=1e-4)
    stats = jax.tree.map(lambda a: a[0], stats)
    chex.assert_trees_all_close(stats, updates['batch_stats'], rtol=1e-4)

  def test_without_weights_every_example_counts(self):
    layer = BatchNorm(True, 'batch', momentum=0.9, epsilon=1e-5)
    variables = layer.init(jax.random.key(0), X)
    step = lambda x: layer.apply(variables, x, mutable=['batch_stats'])
    y, updates = jax.vmap(step, axis_name='batch')(X[None])
    expected = apply(X, ONES)
    chex.assert_trees_all_equal((y[0], updates['batch_stats']), expected)

  def test_padding_counts_for_nothing(self):
    weight = np.array([1, 1, 1, 0], np.float32)
    padded = X.copy()
    padded[3] = 1e3
    y, stats = apply(padded, weight)
    expected, expected_stats = apply(X[:3], ONES[:3])
    chex.assert_trees_all_close(y[:3], expected, atol=1e-4)
    chex.assert_trees_all_close(stats, expected_stats, rtol=1e-4)

  def test_a_device_with_padding_only(self):
    weight = np.array([1, 1, 0, 0], np.float32)
    y, stats = apply(X, weight, devices=2)
    expected, expected_stats = apply(X[:2], ONES[:2])
    chex.assert_trees_all_close(y[:2], expected, atol=1e-4)
    for device in range(2):
      mine = jax.tree.map(lambda a, d=device: a[d], stats)
      first = jax.tree.map(lambda a: a[0], expected_stats)
      chex.assert_trees_all_close(mine, first, rtol=1e-4)

  def test_inference_uses_the_statistics_kept(self):
    layer = BatchNorm(False, 'batch', momentum=0.9, epsilon=0.0)
    variables = {
      'params': {'scale': jnp.full(7, 3.0), 'bias': jnp.full(7, 1.0)},
      'batch_stats': {'mean': jnp.full(7, 2.0), 'var': jnp.full(7, 4.0)},
    }
    y = layer.apply(variables, X, ONES)
    chex.assert_trees_all_close(y, (X - 2) / 2 * 3 + 1, atol=1e-4)
