"""A trained network as a model of ONNX, at the network's own size."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from carvana_jax.exporting import onnx_cnn, onnx_graph, onnx_unet, onnx_vgg_unet
from carvana_jax.exporting.onnx_graph import Graph, Place
from carvana_jax.models import cnn, unet, vgg_unet
from carvana_jax.portable.facts import Facts
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run

# The functions that add a network to a graph, by its class.
_LOGITS = {
  unet.UNet: onnx_unet.logits,
  cnn.CNN: onnx_cnn.logits,
  vgg_unet.VGGUNet: onnx_vgg_unet.logits,
}
_LARGEST = 2**31 - 2**20  # bytes of weights that a file of ONNX can hold


def model(
  run: trained_run.Run,
  arrays: Mapping[str, np.ndarray | Place],
  facts: Facts,
) -> onnx.ModelProto:
  """Returns a network as a model of ONNX, of form `network`.

  It is given `image`, uint8 [batch, h, w, C], and makes `probability` and
  `logits`, float32 [batch, h, w]. It computes in float32 whatever
  `config.model.dtype` is. Channels that the network has after the C of
  `facts.inputs` count as 0 everywhere.

  Args:
    run: the network.
    arrays: its variables by their paths, such as params/logits/kernel, in
      float32 or float16. Arrays become part of the model, in the form that
      computes fastest. Those in other files stay as they are, under their
      names, and the graph brings them to that form.
    facts: of the network.

  Raises:
    UserError: the weights are too large for a file of ONNX.
  """
  inside = [x.nbytes for x in arrays.values() if not isinstance(x, Place)]
  if sum(inside) > _LARGEST:
    raise UserError(
      f'the network has {sum(inside) / 1e9:.1f} GB of weights, and a file of '
      'ONNX holds at most 2 GB; export a .safetensors file.'
    )
  graph = Graph(arrays)
  # The mirrored pictures are more of the batch, as they use the same weights.
  x = graph.op('Transpose', 'image', perm=[0, 3, 1, 2])
  if facts.flip:
    x = graph.op('Concat', x, _mirrored(graph, x), axis=0)
  x = graph.op('Cast', x, to=TensorProto.FLOAT)
  x = graph.op('Div', x, graph.constant(255, np.float32))
  shape = (*facts.size, len(facts.inputs))
  x = _LOGITS[type(run.model)](graph, run.model, x, shape)
  if facts.flip:
    x, other = graph.ops('Split', x, outputs=['', ''], axis=0)
    x = graph.op('Add', x, _mirrored(graph, other))
    x = graph.op('Div', x, graph.constant(2, np.float32))
  x = graph.op('Squeeze', x, graph.constant([1]), name='logits')
  graph.op('Sigmoid', x, name='probability')
  info = helper.make_tensor_value_info
  result = graph.model(
    [info('image', TensorProto.UINT8, ['batch', *shape])],
    [
      info(name, TensorProto.FLOAT, ['batch', *facts.size])
      for name in ('probability', 'logits')
    ],
    facts.strings(),
  )
  onnx_graph.fold(result)
  return result


def _mirrored(graph, x):
  """Swaps left and right of [B, C, H, W]."""
  back = graph.constant([-1])
  end = graph.constant([np.iinfo(np.int64).min])
  return graph.op('Slice', x, back, end, graph.constant([3]), back)
