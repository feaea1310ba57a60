"""Plain convolutional networks at one resolution, without skips."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.models import conv


class CNN(nn.Module):
  """Convolutions with ReLU, then one to the logits, all at one resolution."""

  widths: tuple[int, ...]  # channels of the convolutions
  kernels: tuple[int, ...]  # their sizes
  head_kernel: int  # size of the last convolution
  standardize: bool = False  # by the training data's mean and std
  kernel_init: str = 'lecun_normal'  # one of `conv.INITIALIZERS`
  dtype: jnp.dtype = jnp.float32  # of the computation

  @nn.compact
  def __call__(
    self, x: jax.Array, *, train: bool, weight: jax.Array | None = None
  ) -> jax.Array:
    """Returns the logits of the mask.

    Args:
      x: [B, H, W, C], in 0..1.
      train: without effect, as training and inference don't differ here.
      weight: without effect, as nothing here mixes examples.

    Returns:
      [B, H, W], float32 or better.
    """
    x = x.astype(self.dtype)
    if self.standardize:
      x = self._standardized(x)
    layer = functools.partial(
      conv.layer, dtype=self.dtype, kernel_init=self.kernel_init
    )
    layers = zip(self.widths, self.kernels, strict=True)
    for i, (width, size) in enumerate(layers):
      x = nn.relu(layer(width, size, name=f'conv{i}')(x))
    x = layer(1, self.head_kernel, name='logits')(x)[..., 0]
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))

  def _standardized(self, x):
    """Scales each channel to mean 0 and std 1 over the training data."""
    shape = x.shape[-1:]
    mean = self.variable('input', 'mean', jnp.zeros, shape)
    std = self.variable('input', 'std', jnp.ones, shape)
    return ((x - mean.value) / std.value).astype(x.dtype)
