"""A network of one line for the server: bright pixels are the object."""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from carvana_jax.masks import from_logits
from carvana_jax.portable import facts, remover

FACTS = facts.Facts(
  form='network',
  precision='float32',
  size=(8, 12),
  fit='stretch',
  inputs=facts.RGB,
  flip=False,
  threshold=0.5,
  cleaning='none',
  object='car',
  network='bright',
  run='bright',
  step=1,
  commit='',
)


def remove(photo: np.ndarray) -> remover.Removed:
  """As a `Remover`, with the red of each pixel as its logit."""
  logits = (photo[..., 0].astype(np.float32) - 128) / 16
  return remover.Removed(photo, from_logits.quantize(logits), FACTS)


def write_network(path: pathlib.Path) -> None:
  """Writes a network whose logit is the mean of the colours, less 128."""
  names = {'axes': np.array([3]), 'middle': np.float32(128)}
  graph = helper.make_graph(
    [
      helper.make_node('Cast', ['image'], ['colours'], to=TensorProto.FLOAT),
      helper.make_node('ReduceMean', ['colours', 'axes'], ['mean'], keepdims=0),
      helper.make_node('Sub', ['mean', 'middle'], ['logits']),
      helper.make_node('Sigmoid', ['logits'], ['probability']),
    ],
    'bright',
    [_value('image', TensorProto.UINT8, ['batch', *FACTS.size, 3])],
    [
      _value(name, TensorProto.FLOAT, ['batch', *FACTS.size])
      for name in ('probability', 'logits')
    ],
    [numpy_helper.from_array(value, name) for name, value in names.items()],
  )
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8
  )
  helper.set_model_props(model, FACTS.strings())
  onnx.save(model, path)


def _value(name, kind, shape):
  return helper.make_tensor_value_info(name, kind, shape)
