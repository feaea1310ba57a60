"""The plain CNN of `models.cnn` as a graph of ONNX."""

from carvana_jax.exporting import onnx_layers
from carvana_jax.exporting.onnx_graph import Graph
from carvana_jax.models.cnn import CNN


def logits(graph: Graph, model: CNN, image: str, size: tuple[int, int]) -> str:
  """Adds the network to a graph, see `onnx_unet.logits`."""
  del size  # any will do
  x = image
  if model.standardize:
    x = graph.op('Sub', x, onnx_layers.of_channels(graph, 'input/mean'))
    x = graph.op('Div', x, onnx_layers.of_channels(graph, 'input/std'))
  for i in range(len(model.widths)):
    x = graph.op('Relu', onnx_layers.convolution(graph, x, f'conv{i}'))
  return onnx_layers.convolution(graph, x, 'logits')
