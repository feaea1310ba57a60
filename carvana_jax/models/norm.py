"""Batch normalisation whose statistics count every real example once."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn


class BatchNorm(nn.Module):
  """Batch normalisation over all devices (Ioffe & Szegedy 2015).

  Linen's own layer averages the devices' means, which is wrong as soon as the
  devices hold different numbers of real examples, as they do in a padded last
  batch. This one sums over the devices first. Parameters (`scale`, `bias`) and
  statistics (`mean`, `var`) have Linen's names and shapes.
  """

  train: bool  # whether the batch's statistics are used, and averaged
  axis_name: str  # the devices' axis
  momentum: float  # share of the old statistics in the new average
  epsilon: float  # added to the variance

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    weight: jax.Array | None = None,
    frozen: bool = False,
  ) -> jax.Array:
    """Normalises each channel.

    Args:
      x: [B, H, W, C].
      weight: [B], 1 for a real example, 0 for padding; None: all are real.
      frozen: whether the statistics stay, and are used, even in training.

    Returns:
      [B, H, W, C], in the dtype of x.
    """
    shape = x.shape[-1:]
    scale = self.param('scale', nn.initializers.ones, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
    var = self.variable('batch_stats', 'var', jnp.ones, shape)
    if self.train and not frozen and not self.is_initializing():
      exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
      batch_mean, batch_var = self._statistics(exact, weight)
      keep = self.momentum
      mean.value = keep * mean.value + (1 - keep) * batch_mean
      var.value = keep * var.value + (1 - keep) * batch_var
    else:
      batch_mean, batch_var = mean.value, var.value
    # One multiplication and one addition per pixel, in the dtype of x.
    factor = scale * jax.lax.rsqrt(batch_var + self.epsilon)
    offset = bias - batch_mean * factor
    return x * factor.astype(x.dtype) + offset.astype(x.dtype)

  def _statistics(self, x, weight):
    """Mean and (biased) variance, each [C], over the pixels of all devices."""
    if weight is None:
      weight = jnp.ones(x.shape[0])
    pixels = x.shape[1] * x.shape[2]
    # Accelerators would round the factors of a product of matrices.
    add = functools.partial(jnp.einsum, 'bhwc,b->c', precision='highest')
    total, squares = add(x, weight), add(x * x, weight)  # [C]
    count = pixels * weight.sum()
    total, squares, count = jax.lax.psum(
      (total, squares, count), self.axis_name
    )
    # A micro-batch may be all padding; with a variance of 0 it would overflow.
    empty = (count == 0).astype(count.dtype)
    mean, square = total / (count + empty), squares / (count + empty)
    return mean, jnp.maximum(square - mean * mean, 0.0) + empty
