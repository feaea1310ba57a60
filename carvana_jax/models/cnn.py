"""Plain convolutional networks at one resolution, without skips."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.models import conv


class CNN(nn.Module):
  """Convolutions with ReLU, then one more to the logits, all of one size."""

  widths: tuple[int, ...]  # channels of the convolutions
  kernels: tuple[int, ...]  # their sizes
  head_kernel: int  # size of the last convolution
  standardize: bool = False  # by the training data's mean and std
  dtype: jnp.dtype = jnp.float32  # of the computation

  @nn.compact
  def __call__(
    self, x: jax.Array, *, train: bool, weight: jax.Array | None = None
  ) -> jax.Array:
    """Logits of the mask: [B, H, W, C] in 0..1 -> [B, H, W].

    `train` and `weight` are there for `UNet`'s sake: nothing here differs
    between training and inference, or mixes examples.
    """
    x = x.astype(self.dtype)
    if self.standardize:
      x = self._standardized(x)
    layers = zip(self.widths, self.kernels, strict=True)
    for i, (width, size) in enumerate(layers):
      x = nn.relu(self._conv(x, width, size, f'conv{i}'))
    x = self._conv(x, 1, self.head_kernel, 'logits')[..., 0]
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))

  def _standardized(self, x):
    """Mean 0 and std 1, a channel, over the training data."""
    shape = x.shape[-1:]
    mean = self.variable('input', 'mean', jnp.zeros, shape)
    std = self.variable('input', 'std', jnp.ones, shape)
    return ((x - mean.value) / std.value).astype(x.dtype)

  def _conv(self, x, width, size, name):
    return conv.layer(width, size, self.dtype, name)(x)
