"""Convolutions of few channels, in a form that suits CPUs.

At full resolution, a U-Net has too few channels to fill the vectors of a CPU:
XLA's convolution of 16x128x128x3 to 8 channels reaches 10 GFLOP/s, that of
16x64x64x32 to 16 channels reaches 150. So neighbouring pixels of a row are
turned into channels first, and the kernel is filled up with zeros. That is more
to compute, and yet up to eight times as fast (benchmarks/README.md, Steps).
Where there are many channels and pixels, the gradient of the kernel is a
product of matrices for each of its places, two to three times as fast.
Accelerators run the plain convolution. Transposed convolutions differ from
Linen's only in the gradient of their kernel, for which XLA's CPU code takes 100
to 400 times as long where there are many channels. On CPUs, only the backward
pass has derivatives: jax.jvp fails.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax import linen as nn

# How kernels are drawn at the start, by the names that configs give.
INITIALIZERS = {
  'lecun_normal': nn.linear.default_kernel_init,
  'glorot_uniform': nn.initializers.glorot_uniform(),  # Keras's own
  'he_normal': nn.initializers.he_normal(),
  'normal': nn.initializers.normal(0.02),
}

# Channels of the wider side up to which pixels are folded into channels.
_CHANNELS = 32
_VECTOR = 16  # floats in a vector of AVX-512
# Channels of both sides and pixels of an image from which on products of
# matrices give a kernel's gradient two to three times as soon.
_WIDE, _LARGE = 64, 128 * 128
_LAYOUT = ('NHWC', 'HWIO', 'NHWC')

# What networks are traced for, if not for the platform of this process.
_platform = contextvars.ContextVar('platform', default=None)


@contextlib.contextmanager
def traced_for(platform: str) -> Iterator[None]:
  """Makes networks that are traced meanwhile suit another platform.

  Args:
    platform: as `jax.default_backend` names it.
  """
  token = _platform.set(platform)
  try:
    yield
  finally:
    _platform.reset(token)


def _on_cpu():
  return (_platform.get() or jax.default_backend()) == 'cpu'


def layer(
  width: int,
  size: int,
  dtype: jnp.dtype,
  name: str,
  use_bias: bool = True,
  kernel_init: str = 'lecun_normal',
) -> nn.Conv:
  """Returns Linen's convolution of stride 1, padded with zeros.

  Args:
    width: the number of output channels.
    size: the height and the width of the kernel.
    dtype: the dtype of the computation; parameters are float32.
    name: the name of the layer.
    use_bias: whether a bias is added.
    kernel_init: how the kernel is drawn, a key of `INITIALIZERS`.
  """
  general = _general if _on_cpu() else None
  return nn.Conv(
    width,
    (size, size),
    use_bias=use_bias,
    dtype=dtype,
    kernel_init=INITIALIZERS[kernel_init],
    name=name,
    conv_general_dilated=general,
  )


def transposed(
  width: int,
  size: int,
  stride: int,
  dtype: jnp.dtype,
  name: str,
  use_bias: bool = True,
  kernel_init: str = 'lecun_normal',
) -> nn.ConvTranspose:
  """Returns Linen's transposed convolution.

  It takes [B, H, W, C] to [B, stride * H, stride * W, width].

  Args:
    width: the number of output channels.
    size: the height and the width of the kernel; 2 or 3 if the stride is 2.
    stride: 1 or 2.
    dtype: the dtype of the computation; parameters are float32.
    name: the name of the layer.
    use_bias: whether a bias is added.
    kernel_init: how the kernel is drawn, a key of `INITIALIZERS`.
  """
  assert stride == 1 or size in (2, 3)  # what `doubled` can do
  plain = not _on_cpu() or stride == 1
  return (nn.ConvTranspose if plain else _Doubling)(
    width,
    (size, size),
    (stride, stride),
    use_bias=use_bias,
    dtype=dtype,
    kernel_init=INITIALIZERS[kernel_init],
    name=name,
  )


class _Doubling(nn.ConvTranspose):
  """Linen's transposed convolution, computed by `doubled`."""

  @nn.compact
  def __call__(self, x):
    shape = (*self.kernel_size, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape)
    y = doubled(*nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype))
    if self.use_bias:
      y += self.param('bias', self.bias_init, (self.features,)).astype(y.dtype)
    return y


@jax.custom_vjp
def doubled(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves as `lax.conv_transpose` of stride 2 and padding 'SAME'.

  Args:
    x: the input, [B, H, W, I].
    kernel: the kernel, [k, k, I, O], where k is 2 or 3.

  Returns:
    The output, [B, 2H, 2W, O].
  """
  return _double(x, kernel)


def _double(x, kernel):
  return jax.lax.conv_transpose(x, kernel, (2, 2), 'SAME')


def _doubled_forward(x, kernel):
  return doubled(x, kernel), (x, kernel)


def _doubled_backward(saved, change):
  x, kernel = saved
  (x_change,) = jax.linear_transpose(lambda x: _double(x, kernel), x)(change)
  last = kernel.shape[0] - 1
  padded = jnp.pad(change, ((0, 0), (0, last), (0, last), (0, 0)))
  height, width = change.shape[1:3]

  def tap(row, column):
    # Pixel p of x reaches pixel 2 * p + last - row by this row of the kernel.
    rows = slice(last - row, last - row + height, 2)
    columns = slice(last - column, last - column + width, 2)
    return jnp.einsum('bhwi,bhwo->io', x, padded[:, rows, columns])

  taps = range(last + 1)
  rows = [jnp.stack([tap(i, j) for j in taps]) for i in taps]
  return x_change, jnp.stack(rows)


doubled.defvjp(_doubled_forward, _doubled_backward)


def _general(x, kernel, strides, padding, **_):
  assert strides == (1, 1) and padding == 'SAME'  # as `layer` has it
  return same(x, kernel)


@jax.custom_vjp
def same(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves with stride 1 and padding 'SAME'.

  Args:
    x: the input, [B, H, W, I].
    kernel: the kernel, [h, w, I, O].

  Returns:
    The output, [B, H, W, O].
  """
  return _folded(x, kernel, _padding(kernel))


def _forward(x, kernel):
  return same(x, kernel), (x, kernel)


def _backward(saved, change):
  x, kernel = saved
  padding = _padding(kernel)
  mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
  turned = tuple((after, before) for before, after in padding)
  x_change = _folded(change, mirrored, turned)
  return x_change, _kernel_change(x, change, padding, turned)


same.defvjp(_forward, _backward)


def _padding(kernel):
  """(before, after): how many rows and columns of zeros 'SAME' adds."""
  return tuple(((size - 1) // 2, size // 2) for size in kernel.shape[:2])


def _folded(x, kernel, padding):
  """The convolution, with groups of pixels of a row turned into channels."""
  batch, height, width, inputs = x.shape
  outputs = kernel.shape[3]
  count = 1  # pixels of a group
  most = _CHANNELS // max(inputs, outputs)
  while 2 * count <= most and width % (2 * count) == 0:
    count *= 2
  if count == 1 or kernel.shape[1] == 1:
    return _conv(x, kernel, padding)
  rows, (before, after) = padding
  # How many groups the kernel reaches to the left and to the right.
  groups = -(-before // count), -(-after // count)
  grouped = x.reshape(batch, height, width // count, count * inputs)
  wide = _wide(kernel, count, before, groups)
  return _conv(grouped, wide, (rows, groups)).reshape(*x.shape[:3], outputs)


def _wide(kernel, count, before, groups):
  """The kernel that takes groups of pixels to groups of pixels.

  Args:
    kernel: [h, w, I, O].
    count: how many pixels form a group.
    before: how many columns are to the left of the kernel's origin.
    groups: how many groups the new kernel reaches to the left and to the right
      of its own.

  Returns:
    [h, sum(groups) + 1, count * I, count * O].
  """
  height, width, inputs, outputs = kernel.shape
  reach = sum(groups) + 1
  # Pixel j of a group takes the first column from pixel `start + j`.
  start = groups[0] * count - before
  rows = []
  for first in range(start, start + count):
    last = reach * count - width - first
    rows.append(jnp.pad(kernel, ((0, 0), (first, last), (0, 0), (0, 0))))
  wide = jnp.stack(rows, axis=3)  # [h, reach * count, I, count, O]
  return wide.reshape(height, reach, count * inputs, count * outputs)


def _kernel_change(x, change, padding, turned):
  """The kernel's gradient, which is a convolution of images with images."""
  inputs, outputs = x.shape[3], change.shape[3]
  if inputs == _VECTOR and outputs < _VECTOR:
    # The other way round, so that output channels fill a vector.
    mirrored = _over_images(change, x, turned)
    return mirrored[::-1, ::-1].swapaxes(2, 3)
  if min(inputs, outputs) >= _WIDE and x.shape[1] * x.shape[2] >= _LARGE:
    return _by_taps(x, change, padding)
  return _over_images(x, change, padding)


def _by_taps(x, change, padding):
  """As `_over_images`, a product of matrices for each place in the kernel."""
  height, width = change.shape[1:3]
  padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  outputs = change.reshape(-1, change.shape[3])

  def tap(row, column):
    moved = padded[:, row : row + height, column : column + width]
    return moved.reshape(-1, x.shape[3]).T @ outputs

  rows, columns = (range(sum(both) + 1) for both in padding)
  return jnp.stack([jnp.stack([tap(i, j) for j in columns]) for i in rows])


def _over_images(x, change, padding):
  """[B, H, W, I] and [B, H, W, O] -> [h, w, I, O]."""
  # Transposed by hand: if XLA does it, a convolution in a loop, such as that
  # over micro-batches, takes a hundred times as long.
  kernel = _conv(x.transpose(3, 1, 2, 0), change.transpose(1, 2, 0, 3), padding)
  return kernel.transpose(1, 2, 0, 3)


def _conv(x, kernel, padding):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), padding, dimension_numbers=_LAYOUT
  )
