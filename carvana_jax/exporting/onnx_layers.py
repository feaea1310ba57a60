"""Layers as nodes of ONNX, of images [B, C, H, W].

Kernels stay in JAX's layout among the weights, [h, w, in, out]; nodes bring
them to that of ONNX. These and those of batch normalisation depend on weights
alone, so they are computed once: see `onnx_graph.fold`, and where weights are
in another file ONNX Runtime does it when it loads the network.
"""

import math

import numpy as np
from onnx import TensorProto

from carvana_jax.exporting.onnx_graph import Graph

_GROUP_EPSILON = 1e-6  # as Linen's


def convolution(
  graph: Graph, x: str, layer: str, norm: str = '', epsilon: float = 0.0
) -> str:
  """Adds a convolution of stride 1, padded with zeros to the same size.

  Args:
    graph: the graph.
    x: the name of its input.
    layer: the path of the layer, such as encoder/block1_conv1.
    norm: the path of a batch normalisation that follows; '': none.
    epsilon: what that one adds to the variance.

  Returns:
    The name of the output.
  """
  kernel, bias = _weights(graph, layer, norm, epsilon)
  size = graph.shape(f'params/{layer}/kernel')[:2]
  kernel = graph.op(
    'Transpose', kernel, name=f'{layer}/kernel', perm=[3, 2, 0, 1]
  )
  # XLA's padding 'SAME': of an odd number, the larger part comes after.
  pads = [(x - 1) // 2 for x in size] + [x // 2 for x in size]
  return graph.op('Conv', x, kernel, *bias, name=f'{layer}/output', pads=pads)


def doubling(
  graph: Graph, x: str, layer: str, norm: str = '', epsilon: float = 0.0
) -> str:
  """Adds a transposed convolution of stride 2, see `models.conv.transposed`.

  Args and result are those of `convolution`; the output has twice the size.
  """
  kernel, bias = _weights(graph, layer, norm, epsilon)
  size = graph.shape(f'params/{layer}/kernel')[0]  # 2 or 3
  # ONNX takes the gradient of a convolution, and so mirrors the kernel; JAX
  # does not.
  axes, back = graph.constant([0, 1]), graph.constant([-1, -1])
  end = graph.constant([np.iinfo(np.int64).min] * 2)
  kernel = graph.op('Slice', kernel, back, end, axes, back)
  kernel = graph.op(
    'Transpose', kernel, name=f'{layer}/kernel', perm=[2, 3, 0, 1]
  )
  return graph.op(
    'ConvTranspose',
    x,
    kernel,
    *bias,
    name=f'{layer}/output',
    strides=[2, 2],
    pads=[0, 0, size - 2, size - 2],
  )


def _weights(graph, layer, norm, epsilon):
  """Names of kernel and of biases, [] or [bias], with the norm's factors."""
  kernel, bias = f'params/{layer}/kernel', f'params/{layer}/bias'
  has_bias = graph.shape(bias) is not None
  if not norm:
    return graph.array(kernel), [graph.array(bias)] if has_bias else []
  # In float64: what a kernel's rounding adds is the same in every pixel, and
  # adds up.
  double = lambda path: graph.op(
    'Cast', graph.array(path), to=TensorProto.DOUBLE
  )
  scale, offset = (double(f'params/{norm}/{x}') for x in ('scale', 'bias'))
  mean, var = (double(f'batch_stats/{norm}/{x}') for x in ('mean', 'var'))
  var = graph.op('Add', var, graph.constant(epsilon, np.float64))
  std = graph.op('Sqrt', var)
  factor = graph.op('Div', scale, std)
  if has_bias:
    mean = graph.op('Sub', mean, double(bias))
  kernel = graph.op('Mul', double(kernel), factor)
  bias = graph.op('Sub', offset, graph.op('Mul', mean, factor))
  single = lambda x, name: graph.op('Cast', x, name=name, to=TensorProto.FLOAT)
  return single(kernel, f'{layer}/folded'), [single(bias, f'{layer}/bias')]


def group_norm(graph: Graph, x: str, layer: str, size: tuple[int, int]) -> str:
  """Adds a group normalisation as the U-Net has it.

  Args:
    graph: the graph.
    x: the name of its input.
    layer: the path of the layer.
    size: height and width of the input.

  Returns:
    The name of the output.
  """
  (width,) = graph.shape(f'params/{layer}/scale')
  groups = math.gcd(8, width)
  # ONNX's own operator had the scale a group, not a channel, until opset 21.
  x = graph.op('Reshape', x, graph.constant([0, groups, -1]))
  x = graph.op(
    'InstanceNormalization',
    x,
    graph.constant([1] * groups, np.float32),
    graph.constant([0] * groups, np.float32),
    epsilon=_GROUP_EPSILON,
  )
  x = graph.op('Reshape', x, graph.constant([0, width, *size]))
  x = graph.op('Mul', x, of_channels(graph, f'params/{layer}/scale'))
  return graph.op('Add', x, of_channels(graph, f'params/{layer}/bias'))


def of_channels(graph: Graph, path: str) -> str:
  """Returns the name of an array [C], shaped for images [B, C, H, W]."""
  axes = graph.constant([1, 2])
  return graph.op('Unsqueeze', graph.array(path), axes, name=f'{path}/channels')


def max_pool(graph: Graph, x: str) -> str:
  """Takes the largest of every 2x2 pixels."""
  return graph.op('MaxPool', x, kernel_shape=[2, 2], strides=[2, 2])


def add_channels(graph: Graph, x: str, count: int) -> str:
  """Adds so many channels of zeros after those of the input."""
  if not count:
    return x
  return graph.op('Pad', x, graph.constant([0, 0, 0, 0, 0, count, 0, 0]))


def pad_to(
  graph: Graph, x: str, size: tuple[int, int], multiple: int
) -> tuple[str, tuple[int, int]]:
  """Repeats the last row and column until both sizes are multiples.

  Args:
    graph: the graph.
    x: the name of its input.
    size: height and width of the input.
    multiple: what the sizes are to be multiples of.

  Returns:
    The name of the output, and its height and width.
  """
  below, right = (-length % multiple for length in size)
  if below or right:
    pads = graph.constant([0, 0, 0, 0, 0, 0, below, right])
    x = graph.op('Pad', x, pads, mode='edge')
  return x, (size[0] + below, size[1] + right)


def crop_to(
  graph: Graph, x: str, size: tuple[int, int], padded: tuple[int, int]
) -> str:
  """Takes off what `pad_to` added."""
  if size == padded:
    return x
  start, end = graph.constant([0, 0]), graph.constant(size)
  return graph.op('Slice', x, start, end, graph.constant([2, 3]))


def nearest(graph: Graph, x: str) -> str:
  """Repeats every pixel twice in each direction."""
  return graph.op(
    'Resize',
    x,
    '',
    graph.constant([1, 1, 2, 2], np.float32),
    mode='nearest',
    coordinate_transformation_mode='asymmetric',
    nearest_mode='floor',
  )
