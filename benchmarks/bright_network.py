"""A network of one line: bright pixels are the object.

What is measured with it is all that goes on around a network.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from carvana_jax.portable import facts

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


def write(path: pathlib.Path) -> None:
  """Writes a network whose logit is the mean of a pixel's colours, less 128.

  Args:
    path: the file, .onnx.
  """
  constants = {'axes': np.array([3]), 'middle': np.float32(128)}
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
    [numpy_helper.from_array(x, name) for name, x in constants.items()],
  )
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8
  )
  helper.set_model_props(model, FACTS.strings())
  onnx.save(model, path)


def _value(name, kind, shape):
  return helper.make_tensor_value_info(name, kind, shape)
