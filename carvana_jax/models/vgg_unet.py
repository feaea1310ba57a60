"""A U-Net whose encoder is the VGG19 of Simonyan & Zisserman (2015)."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.models import conv
from carvana_jax.models.norm import BatchNorm
from carvana_jax.models.unet import max_pool, pad_to

# (convolutions, channels) of VGG19's blocks, down to the last layer in use.
BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (1, 512))
# (channels, stride) of the decoder's blocks, from deep to shallow.
DECODER = ((512, 1), (512, 2), (256, 1), (256, 2), (128, 1), (128, 2))


class VGG19(nn.Module):
  """The convolutions of VGG19 down to block5_conv1."""

  dtype: jnp.dtype = jnp.float32  # of the computation

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, ...]:
    """Returns features of several depths, after ReLU.

    Args:
      x: [B, H, W, 3], with H and W divisible by 16.

    Returns:
      The features of block2_conv1, block2_conv2, block3_conv1, block3_conv2,
      block4_conv1, block4_conv2 and block5_conv1, from [B, H / 2, W / 2, 128]
      twice to [B, H / 16, W / 16, 512].
    """
    taps = []
    for block, (convs, width) in enumerate(BLOCKS, start=1):
      if block > 1:
        x = max_pool(x)
      for i in range(1, convs + 1):
        name = f'block{block}_conv{i}'
        x = nn.relu(nn.Conv(width, (3, 3), dtype=self.dtype, name=name)(x))
        if block > 1 and i <= 2:
          taps.append(x)
    return tuple(taps)


class VGGUNet(nn.Module):
  """VGG19 as the encoder, transposed convolutions as the decoder.

  The decoder joins the encoder at 1/8, 1/4 and 1/2 of the input's size. Any
  input size will do: it is padded to a multiple of 16 and the result cropped.
  """

  # File of VGG19's weights; 'random': start anywhere and train the encoder too.
  encoder_weights: str = ''
  dropout: float = 0.0  # rate, in every block of the decoder
  norm_momentum: float = 0.9  # of batch normalisation, see `BatchNorm`
  norm_epsilon: float = 1e-5
  kernel_init: str = 'normal'  # of the decoder, one of `conv.INITIALIZERS`
  dtype: jnp.dtype = jnp.float32  # of the computation; parameters are float32
  axis_name: str = 'batch'  # the devices' axis, for batch statistics

  @property
  def frozen(self) -> tuple[str, ...]:
    """The top-level layers whose parameters training leaves alone."""
    return () if self.encoder_weights == 'random' else ('encoder',)

  @property
  def skips(self) -> tuple[tuple[str, str], ...]:
    """Names of the layers that a skip connection leads from and to."""
    return (
      ('encoder/block2_conv1', 'logits'),
      ('encoder/block3_conv1', 'up4_conv'),
      ('encoder/block4_conv1', 'up2_conv'),
    )

  @nn.compact
  def __call__(
    self, x: jax.Array, *, train: bool, weight: jax.Array | None = None
  ) -> jax.Array:
    """Returns the logits of the mask.

    Args:
      x: [B, H, W, 3], in 0..1. VGG19 is given it like that, as published,
        although its weights come from images that were centred (and that were
        BGR in 0..255 for Keras' weights).
      train: whether dropout acts and batch statistics are taken.
      weight: [B], 1 for a real example, 0 for padding; None: all are real.

    Returns:
      [B, H, W], float32 or better.
    """
    height, width = x.shape[1:3]
    x = pad_to(x.astype(self.dtype), 16)
    *taps, x = VGG19(self.dtype, name='encoder')(x)
    up = functools.partial(
      conv.transposed, size=3, dtype=self.dtype, kernel_init=self.kernel_init
    )
    norm = functools.partial(
      BatchNorm, train, self.axis_name, self.norm_momentum, self.norm_epsilon
    )
    for i, (channels, stride) in enumerate(DECODER):
      name = f'up{i}_conv'
      x = up(channels, stride=stride, name=name, use_bias=False)(x)
      x = norm(name=f'up{i}_norm')(x, weight)
      x = nn.relu(nn.Dropout(self.dropout, deterministic=not train)(x))
      # Each block has a tap beside it, but those at stride 1 leave it unused.
      tap = taps.pop()
      if stride == 2:
        x = jnp.concatenate([tap, x], axis=-1)
    x = up(1, stride=2, name='logits')(x)[:, :height, :width, 0]
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
