"""One U-Net (Ronneberger et al. 2015) for all the published variants."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.models import conv
from carvana_jax.models.norm import BatchNorm

NORMS = ('none', 'batch', 'group')
UPSAMPLINGS = ('nearest', 'nearest_conv', 'projected', 'transposed')


class UNet(nn.Module):
  """Encoder, decoder and a skip connection at every level but the lowest.

  Level 0 works at the size of the input, or of its patches, and has
  `first_width` channels; each level below has half the size and twice the
  channels. Any input size will do: it is padded to a multiple of
  patch * 2 ** (levels - 1) and the result cropped.
  """

  levels: int = 5  # resolutions, so `levels - 1` poolings
  first_width: int = 16  # channels of level 0
  widths: tuple[int, ...] = ()  # channels of all levels; (): doubled a level
  # patch x patch pixels become channels before level 0, which gives the logits
  # of as many pixels (space to depth and back, Shi et al. 2016).
  patch: int = 1
  encoder_convs: int = 2  # 3x3 convolutions a level on the way down
  decoder_convs: int = 2  # and on the way up
  norm: str = 'batch'  # one of NORMS, after every 3x3 convolution
  # Whether convolutions have a bias that batch normalisation takes off again.
  conv_bias: bool = True
  norm_momentum: float = 0.9  # of batch normalisation, see `BatchNorm`
  norm_epsilon: float = 1e-5
  kernel_init: str = 'lecun_normal'  # one of `conv.INITIALIZERS`
  upsampling: str = 'nearest'  # one of UPSAMPLINGS
  dropout: float = 0.0  # rate
  dropout_levels: tuple[int, ...] = ()  # encoder levels that end in dropout
  head_width: int = 0  # channels of a 3x3 conv + ReLU before the last, 0: none
  dtype: jnp.dtype = jnp.float32  # of the computation; parameters are float32
  axis_name: str = 'batch'  # the devices' axis, for batch statistics

  @property
  def skips(self) -> tuple[tuple[str, str], ...]:
    """Names of the layers that a skip connection leads from and to."""
    last = self.encoder_convs - 1
    return tuple(
      (f'down{level}_conv{last}', f'up{level}_conv0')
      for level in range(self.levels - 1)
    )

  @nn.compact
  def __call__(
    self, x: jax.Array, *, train: bool, weight: jax.Array | None = None
  ) -> jax.Array:
    """Returns the logits of the mask.

    Args:
      x: [B, H, W, C], in 0..1.
      train: whether dropout acts and batch statistics are taken.
      weight: [B], 1 for a real example, 0 for padding; None: all are real.

    Returns:
      [B, H, W], float32 or better.
    """
    height, width = x.shape[1:3]
    use_bias = self.conv_bias or self.norm != 'batch'

    def convs(x, name, level, count):
      for i in range(count):
        x = self._conv(
          x, 3, self._width(level), f'{name}{level}_conv{i}', use_bias
        )
        x = self._normalize(x, f'{name}{level}_norm{i}', train, weight)
        x = nn.relu(x)
      return x

    x = pad_to(x.astype(self.dtype), self.patch * 2 ** (self.levels - 1))
    x = space_to_depth(x, self.patch)
    skips = []
    for level in range(self.levels):
      if level > 0:
        x = max_pool(x)
      x = convs(x, 'down', level, self.encoder_convs)
      if level in self.dropout_levels:
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
      skips.append(x)
    skips.pop()  # the lowest level is not skipped, it goes on
    for level in reversed(range(self.levels - 1)):
      x = jnp.concatenate([skips.pop(), self._upsample(x, level)], axis=-1)
      x = convs(x, 'up', level, self.decoder_convs)
    if self.head_width:
      x = nn.relu(self._conv(x, 3, self.head_width, 'head'))
    # No normalisation here: logits need their scale.
    x = self._conv(x, 1, self.patch**2, 'logits')
    x = depth_to_space(x, self.patch)  # [B, H', W', 1]
    x = x[:, :height, :width, 0]
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))

  def _width(self, level):
    return self.widths[level] if self.widths else self.first_width * 2**level

  def _conv(self, x, size, width, name, use_bias=True):
    return conv.layer(
      width, size, self.dtype, name, use_bias, self.kernel_init
    )(x)

  def _normalize(self, x, name, train, weight):
    if self.norm == 'batch':
      norm = BatchNorm(
        train, self.axis_name, self.norm_momentum, self.norm_epsilon, name=name
      )
      return norm(x, weight)
    if self.norm == 'group':
      groups = math.gcd(8, x.shape[-1])
      return nn.GroupNorm(groups, dtype=self.dtype, name=name)(x)
    return x

  def _upsample(self, x, level):
    """[B, H, W, C] -> [B, 2H, 2W, C or the level's width]."""
    width, name = self._width(level), f'up{level}_enlarge'
    if self.upsampling == 'transposed':
      return conv.transposed(
        width, 2, 2, self.dtype, name, kernel_init=self.kernel_init
      )(x)
    if self.upsampling == 'projected':
      x = self._conv(x, 1, width, name)
    x = x.repeat(2, axis=1).repeat(2, axis=2)
    if self.upsampling == 'nearest_conv':
      x = nn.relu(self._conv(x, 2, width, name))
    return x


def space_to_depth(x: jax.Array, patch: int) -> jax.Array:
  """Moves pixels to channels.

  Args:
    x: [B, H, W, C].
    patch: height and width of what becomes one pixel; H and W are multiples.

  Returns:
    [B, H / patch, W / patch, patch * patch * C].
  """
  batch, height, width, channels = x.shape
  x = x.reshape(
    batch, height // patch, patch, width // patch, patch, channels
  ).swapaxes(2, 3)
  return x.reshape(batch, height // patch, width // patch, -1)


def depth_to_space(x: jax.Array, patch: int) -> jax.Array:
  """Moves channels to pixels, as the inverse of `space_to_depth`."""
  batch, height, width, _ = x.shape
  x = x.reshape(batch, height, width, patch, patch, -1).swapaxes(2, 3)
  return x.reshape(batch, height * patch, width * patch, -1)


def max_pool(x: jax.Array) -> jax.Array:
  """Takes the largest of every 2x2 pixels.

  The values are those of `nn.max_pool`, whose backward pass is slow on CPUs.

  Args:
    x: [B, H, W, C], with even H and W.

  Returns:
    [B, H / 2, W / 2, C].
  """
  top = jnp.maximum(x[:, ::2, ::2], x[:, ::2, 1::2])
  bottom = jnp.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2])
  return jnp.maximum(top, bottom)


def pad_to(x: jax.Array, multiple: int) -> jax.Array:
  """Repeats the last row and column until both sizes are multiples.

  Args:
    x: [B, H, W, C].
    multiple: what the sizes are to be multiples of.

  Returns:
    [B, H', W', C] with the smallest such H' >= H and W' >= W.
  """
  below, right = (-size % multiple for size in x.shape[1:3])
  return jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0)), mode='edge')
