"""Convolutions of few channels, in a form that suits CPUs.

At full resolution a U-Net has few channels, too few to fill the vectors of a
CPU: XLA's convolution of 16x128x128x3 to 8 channels makes 10 GFLOP/s, of
16x64x64x32 to 16 channels 150. So neighbouring pixels of a row become channels
first; the kernel gets zeros in between. That is more to compute, and yet up to
eight times as fast (benchmarks/README.md, Steps). Accelerators see the plain
convolution.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

# Channels of the wider side up to which pixels are folded into channels.
_CHANNELS = 32
_VECTOR = 16  # floats in a vector of AVX-512
_LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def layer(width: int, size: int, dtype: jnp.dtype, name: str) -> nn.Conv:
  """Linen's convolution, size x size, of stride 1 and with zeros around.

  Args:
    width: output channels.
    size: of the kernel.
    dtype: of the computation; parameters are float32.
    name: of the layer.
  """
  plain = jax.default_backend() != 'cpu'
  return nn.Conv(
    width,
    (size, size),
    dtype=dtype,
    name=name,
    conv_general_dilated=None if plain else _general,
  )


def _general(x, kernel, strides, padding, **_):
  assert strides == (1, 1) and padding == 'SAME'  # as `layer` has it
  return same(x, kernel)


@jax.custom_vjp
def same(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolution of stride 1 whose output is as large as its input.

  Args:
    x: [B, H, W, I].
    kernel: [h, w, I, O].

  Returns:
    [B, H, W, O].
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
  """Rows and columns of zeros (before, after), as for 'SAME'."""
  return tuple(((size - 1) // 2, size // 2) for size in kernel.shape[:2])


def _folded(x, kernel, padding):
  """The convolution, on groups of pixels of a row as channels."""
  batch, height, width, inputs = x.shape
  outputs = kernel.shape[3]
  count = 1  # pixels of a group
  while (
    2 * count * max(inputs, outputs) <= _CHANNELS and width % (2 * count) == 0
  ):
    count *= 2
  if count == 1 or kernel.shape[1] == 1:
    return _conv(x, kernel, padding)
  rows, (before, after) = padding
  groups = -(-before // count), -(-after // count)  # of other pixels in reach
  grouped = x.reshape(batch, height, width // count, count * inputs)
  wide = _wide(kernel, count, before, groups)
  return _conv(grouped, wide, (rows, groups)).reshape(*x.shape[:3], outputs)


def _wide(kernel, count, before, groups):
  """The kernel that takes groups of pixels to groups of pixels.

  Args:
    kernel: [h, w, I, O].
    count: pixels of a group.
    before: columns to the left of the kernel's origin.
    groups: that the new kernel reaches over, to the left and to the right.

  Returns:
    [h, groups, count * I, count * O].
  """
  height, width, inputs, outputs = kernel.shape
  reach = sum(groups) + 1
  # Pixel j of a group takes the first column from pixel `start + j`.
  start = groups[0] * count - before
  rows = [
    jnp.pad(
      kernel,
      (
        (0, 0),
        (start + j, reach * count - width - start - j),
        (0, 0),
        (0, 0),
      ),
    )
    for j in range(count)
  ]
  wide = jnp.stack(rows, axis=3)  # [h, reach * count, I, count, O]
  return wide.reshape(height, reach, count * inputs, count * outputs)


def _kernel_change(x, change, padding, turned):
  """The kernel's gradient, a convolution of images over images."""
  inputs, outputs = x.shape[3], change.shape[3]
  if inputs == _VECTOR and outputs < _VECTOR:
    # The other way round, so that output channels fill a vector.
    mirrored = _over_images(change, x, turned)
    return mirrored[::-1, ::-1].swapaxes(2, 3)
  return _over_images(x, change, padding)


def _over_images(x, change, padding):
  """[B, H, W, I] and [B, H, W, O] -> [h, w, I, O]."""
  return jax.lax.conv_general_dilated(
    x, change, (1, 1), padding, dimension_numbers=('CHWN', 'IHWO', 'HWNC')
  )


def _conv(x, kernel, padding):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), padding, dimension_numbers=_LAYOUT
  )
