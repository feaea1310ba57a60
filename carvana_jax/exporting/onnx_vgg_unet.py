"""The U-Net on VGG19 of `models.vgg_unet` as a graph of ONNX."""

from carvana_jax.exporting import onnx_layers
from carvana_jax.exporting.onnx_graph import Graph
from carvana_jax.models import vgg_unet


def logits(
  graph: Graph,
  model: vgg_unet.VGGUNet,
  image: str,
  shape: tuple[int, int, int],
) -> str:
  """Adds the network to a graph, see `onnx_unet.logits`."""
  size = shape[:2]
  x, padded = onnx_layers.pad_to(graph, image, size, 16)
  *taps, x = _encoded(graph, x)
  for i, (_, stride) in enumerate(vgg_unet.DECODER):
    add = onnx_layers.doubling if stride == 2 else onnx_layers.convolution
    x = add(graph, x, f'up{i}_conv', f'up{i}_norm', model.norm_epsilon)
    x = graph.op('Relu', x)
    tap = taps.pop()
    if stride == 2:
      x = graph.op('Concat', tap, x, axis=1)
  x = onnx_layers.doubling(graph, x, 'logits')
  return onnx_layers.crop_to(graph, x, size, padded)


def _encoded(graph, x):
  """The features that `vgg_unet.VGG19` returns."""
  taps = []
  for block, (convs, _) in enumerate(vgg_unet.BLOCKS, start=1):
    if block > 1:
      x = onnx_layers.max_pool(graph, x)
    for i in range(1, convs + 1):
      layer = f'encoder/block{block}_conv{i}'
      x = graph.op('Relu', onnx_layers.convolution(graph, x, layer))
      if block > 1 and i <= 2:
        taps.append(x)
  return taps
