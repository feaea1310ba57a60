"""The U-Net of `models.unet` as a graph of ONNX."""

from carvana_jax.exporting import onnx_layers
from carvana_jax.exporting.onnx_graph import Graph
from carvana_jax.models.unet import UNet


def logits(
  graph: Graph, model: UNet, image: str, shape: tuple[int, int, int]
) -> str:
  """Adds the network to a graph.

  Args:
    graph: the graph, with the network's variables.
    model: the network.
    image: the name of the input, float32 [B, C, H, W] in 0..1.
    shape: (H, W, C). Further channels of the network are taken for 0.

  Returns:
    The name of the logits, float32 [B, 1, H, W].
  """
  size = shape[:2]
  _take_channels(graph, model, shape[2])
  multiple = model.patch * 2 ** (model.levels - 1)
  x, padded = onnx_layers.pad_to(graph, image, size, multiple)
  if model.patch > 1:
    x = graph.op('SpaceToDepth', x, blocksize=model.patch)

  def convs(x, name, level, count):
    part = tuple(length // model.patch >> level for length in padded)
    for i in range(count):
      layer, norm = f'{name}{level}_conv{i}', f'{name}{level}_norm{i}'
      batch = norm if model.norm == 'batch' else ''
      x = onnx_layers.convolution(graph, x, layer, batch, model.norm_epsilon)
      if model.norm == 'group':
        x = onnx_layers.group_norm(graph, x, norm, part)
      x = graph.op('Relu', x)
    return x

  skips = []
  for level in range(model.levels):
    if level > 0:
      x = onnx_layers.max_pool(graph, x)
    x = convs(x, 'down', level, model.encoder_convs)
    skips.append(x)
  skips.pop()  # the lowest level is not skipped, it goes on
  for level in reversed(range(model.levels - 1)):
    larger = _upsample(graph, model, x, f'up{level}_enlarge')
    x = graph.op('Concat', skips.pop(), larger, axis=1)
    x = convs(x, 'up', level, model.decoder_convs)
  if model.head_width:
    x = graph.op('Relu', onnx_layers.convolution(graph, x, 'head'))
  x = onnx_layers.convolution(graph, x, 'logits')
  if model.patch > 1:
    x = graph.op('DepthToSpace', x, blocksize=model.patch)
  return onnx_layers.crop_to(graph, x, size, padded)


def _take_channels(graph, model, channels):
  """Leaves out of the first kernel what is for further channels of the input.

  Where these are 0 they add nothing to a convolution: all that comes before it
  is padding, by zeros or the input's own edge, and pixels turned to channels.
  """
  kernel = 'params/down0_conv0/kernel'
  count = graph.shape(kernel)[2]
  own = count // model.patch**2  # of a pixel; they stay together in a patch
  if channels < own:
    graph.take(kernel, 2, [x for x in range(count) if x % own < channels])


def _upsample(graph, model, x, layer):
  """[B, C, H, W] -> [B, C or the level's width, 2H, 2W]."""
  if model.upsampling == 'transposed':
    return onnx_layers.doubling(graph, x, layer)
  if model.upsampling == 'projected':
    x = onnx_layers.convolution(graph, x, layer)
  x = onnx_layers.nearest(graph, x)
  if model.upsampling == 'nearest_conv':
    x = graph.op('Relu', onnx_layers.convolution(graph, x, layer))
  return x
