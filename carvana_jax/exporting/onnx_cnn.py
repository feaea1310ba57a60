"""The plain CNN of `models.cnn` as a graph of ONNX."""

from carvana_jax.exporting import onnx_layers
from carvana_jax.exporting.onnx_graph import Graph
from carvana_jax.models.cnn import CNN


def logits(
  graph: Graph, model: CNN, image: str, shape: tuple[int, int, int]
) -> str:
  """Adds the network to a graph, see `onnx_unet.logits`."""
  first = 'conv0' if model.widths else 'logits'
  known = graph.shape(f'params/{first}/kernel')[2]
  # Not left out of the kernel: standardised they are no longer 0.
  x = onnx_layers.add_channels(graph, image, known - shape[2])
  if model.standardize:
    x = graph.op('Sub', x, onnx_layers.of_channels(graph, 'input/mean'))
    x = graph.op('Div', x, onnx_layers.of_channels(graph, 'input/std'))
  for i in range(len(model.widths)):
    x = graph.op('Relu', onnx_layers.convolution(graph, x, f'conv{i}'))
  return onnx_layers.convolution(graph, x, 'logits')
