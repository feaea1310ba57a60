"""Weights in fewer bits: half the size as float16, a quarter as int8."""

import pathlib
import tempfile
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization import quant_utils

# What is computed in int8. What follows the last convolution is left as it is,
# as logits need more than 256 values.
_INT8 = ('Conv', 'ConvTranspose', 'Relu', 'MaxPool', 'Concat', 'Resize')
_LEAST = 1024  # numbers of an array that is worth it
_LARGEST = float(np.finfo(np.float16).max)


def to_float16(model: onnx.ModelProto) -> None:
  """Stores large arrays of a model in float16, and casts them as it is loaded.

  The network computes in float32 as before: ONNX Runtime has no convolutions in
  float16 for x86 processors, and would cast every picture back and forth.

  Args:
    model: it is changed.
  """
  graph, casts = model.graph, []
  for tensor in graph.initializer:
    if tensor.data_type != TensorProto.FLOAT:
      continue
    values = numpy_helper.to_array(tensor)
    if values.size < _LEAST or np.abs(values).max() > _LARGEST:
      continue
    name = tensor.name
    half = numpy_helper.from_array(values.astype(np.float16), f'{name}/float16')
    tensor.CopyFrom(half)
    casts.append(
      helper.make_node('Cast', [half.name], [name], name, to=TensorProto.FLOAT)
    )
  nodes = [*casts, *graph.node]
  del graph.node[:]
  graph.node.extend(nodes)


class _Images(quantization.CalibrationDataReader):
  """Pictures, as ONNX Runtime asks for them."""

  def __init__(self, images):
    self._images = iter(images)

  def get_next(self):
    image = next(self._images, None)
    return None if image is None else {'image': image[None]}


def to_int8(
  model: onnx.ModelProto, images: Iterable[np.ndarray]
) -> onnx.ModelProto:
  """Returns a model whose convolutions are computed in int8.

  Kernels are scaled channel by channel.

  Args:
    model: of form `network`.
    images: what the network is given, uint8 [h, w, C] each, which tell the
      range of its activations.
  """
  with tempfile.TemporaryDirectory() as folder:
    exact, rounded = (pathlib.Path(folder, x) for x in ('a.onnx', 'b.onnx'))
    marked = onnx.ModelProto.FromString(model.SerializeToString())
    # Else a warning asks for a step that has nothing to do here.
    quant_utils.add_pre_process_metadata(marked)
    onnx.save(marked, exact)
    quantization.quantize_static(
      exact,
      rounded,
      _Images(images),
      op_types_to_quantize=_INT8,
      per_channel=True,
      # With eight bits sums overflow on processors without VNNI.
      reduce_range=True,
      activation_type=quantization.QuantType.QUInt8,
      weight_type=quantization.QuantType.QInt8,
    )
    result = onnx.load(rounded)
  del result.metadata_props[:]  # one of which says how it was made
  result.metadata_props.extend(model.metadata_props)
  return result
