"""A graph of ONNX, node by node, and what of it follows from its weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# Of 2022, so that ONNX Runtime reads the files from 1.12 on, and others as old.
OPSET, IR_VERSION = 17, 8
_TYPES = {'float32': TensorProto.FLOAT, 'float16': TensorProto.FLOAT16}


class Place(NamedTuple):
  """Where an array lies in another file."""

  file: str  # its name; it is in the folder of the ONNX file
  offset: int  # of its first byte
  length: int  # in bytes
  dtype: str  # float32 or float16
  shape: tuple[int, ...]


class Graph:
  """Nodes and their weights, to which functions of a network's parts add."""

  def __init__(
    self, arrays: Mapping[str, np.ndarray | Place], prefix: str = ''
  ):
    """Makes a graph without nodes.

    Args:
      arrays: the network's weights by their paths, such as
        params/logits/kernel, in float32 or float16.
      prefix: what the names begin with that nodes get by default.
    """
    self._arrays = arrays
    self._prefix = prefix
    self._nodes = []
    self._initialisers = {}  # by name
    self._exact = {}  # names of arrays in float32, by path
    self._taken = set()  # names of nodes

  def shape(self, path: str) -> tuple[int, ...] | None:
    """Returns the shape of an array, None where there is no such array."""
    return self._arrays[path].shape if path in self._arrays else None

  def array(self, path: str) -> str:
    """Returns the name of an array of the network, in float32."""
    if path not in self._exact:
      value = self._arrays[path]
      if isinstance(value, Place):
        tensor = _elsewhere(path, value)
      else:
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), path)
      self._initialisers[path] = tensor
      name = path
      if tensor.data_type != TensorProto.FLOAT:
        name = self.op('Cast', path, name=f'{path}/exact', to=TensorProto.FLOAT)
      self._exact[path] = name
    return self._exact[path]

  def take(self, path: str, axis: int, places: Sequence[int]) -> None:
    """Makes `array` return a part of an array; its `shape` stays the whole's.

    Args:
      path: of the array.
      axis: along which it is taken apart.
      places: the entries along this axis that are wanted.
    """
    whole, wanted = self.array(path), self.constant(places)
    self._exact[path] = self.op(
      'Gather', whole, wanted, name=f'{path}/taken', axis=axis
    )

  def constant(self, values: Any, dtype: type = np.int64) -> str:
    """Returns the name of an array with these values."""
    array = np.asarray(values, dtype)
    name = f'{array.dtype}:{array.tolist()}'.replace(' ', '')
    self._initialisers[name] = numpy_helper.from_array(array, name)
    return name

  def op(self, kind: str, *inputs: str, name: str = '', **attributes) -> str:
    """Adds a node with one output.

    Args:
      kind: the operator.
      *inputs: the names of its inputs.
      name: of the node and its output; '': the operator's, with a number where
        it is taken.
      **attributes: of the operator.

    Returns:
      The name of the output.
    """
    (output,) = self.ops(kind, *inputs, outputs=[name], **attributes)
    return output

  def ops(
    self, kind: str, *inputs: str, outputs: Sequence[str], **attributes
  ) -> list[str]:
    """Adds a node, as `op` does, with as many outputs as names are given."""
    names = [self._unique(name or self._prefix + kind) for name in outputs]
    self._nodes.append(
      helper.make_node(kind, inputs, names, names[0], **attributes)
    )
    return names

  def include(
    self,
    model: onnx.ModelProto,
    inputs: Mapping[str, str],
    leave_out: Iterable[str],
  ) -> None:
    """Adds the nodes and weights of a model, which keep their names.

    Args:
      model: the model.
      inputs: the names here of its inputs, by those that it has for them.
      leave_out: those of its outputs whose nodes are not wanted.
    """
    for node in model.graph.node:
      if node.output[0] not in leave_out:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.input[:] = [inputs.get(name, name) for name in node.input]
        self._nodes.append(copy)
        self._taken.update(node.output)
    for tensor in model.graph.initializer:
      self._initialisers[tensor.name] = tensor

  def _unique(self, name):
    first, number = name, 1
    while name in self._taken:
      number += 1
      name = f'{first}_{number}'
    self._taken.add(name)
    return name

  def model(
    self,
    inputs: Iterable[onnx.ValueInfoProto],
    outputs: Iterable[onnx.ValueInfoProto],
    facts: Mapping[str, str],
  ) -> onnx.ModelProto:
    """Returns the whole as a model.

    Args:
      inputs: their names, types and shapes.
      outputs: likewise; the names are those of nodes.
      facts: the entries of its metadata.
    """
    graph = helper.make_graph(
      self._nodes,
      'network',
      list(inputs),
      list(outputs),
      list(self._initialisers.values()),
    )
    model = make_model(graph)
    helper.set_model_props(model, dict(facts))
    return model


def make_model(graph: onnx.GraphProto) -> onnx.ModelProto:
  """Returns a model of this project's version of ONNX."""
  return helper.make_model(
    graph,
    producer_name='carvana_jax',
    ir_version=IR_VERSION,
    opset_imports=[helper.make_opsetid('', OPSET)],
  )


def fold(model: onnx.ModelProto) -> None:
  """Replaces nodes that only depend on weights in the model by their values."""
  graph = model.graph
  inside = {
    tensor.name: tensor
    for tensor in graph.initializer
    if tensor.data_location != TensorProto.EXTERNAL
  }
  constant, other, known = [], [], {*inside, ''}
  for node in graph.node:
    is_constant = known.issuperset(node.input)
    (constant if is_constant else other).append(node)
    if is_constant:
      known.update(node.output)
  used = {name for node in other for name in node.input}
  made = [x for node in constant for x in node.output if x in used]
  values = _values(constant, inside.values(), made)
  kept = [tensor for tensor in graph.initializer if tensor.name in used]
  del graph.node[:], graph.initializer[:]
  graph.node.extend(other)
  graph.initializer.extend(kept)
  for name, value in zip(made, values, strict=True):
    value = np.ascontiguousarray(value)
    graph.initializer.append(numpy_helper.from_array(value, name))


def _values(nodes, initialisers, names):
  """Computes outputs of nodes, without ONNX Runtime and its limit of 2 GB."""
  if not names:
    return []
  outputs = [
    helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    for name in names
  ]
  graph = helper.make_graph(nodes, 'weights', [], outputs, list(initialisers))
  return ReferenceEvaluator(make_model(graph)).run(None, {})


def _elsewhere(name, place):
  """A tensor whose values are in another file."""
  tensor = TensorProto(
    name=name,
    data_type=_TYPES[place.dtype],
    dims=place.shape,
    data_location=TensorProto.EXTERNAL,
  )
  entries = {
    'location': place.file,
    'offset': place.offset,
    'length': place.length,
  }
  for key, value in entries.items():
    tensor.external_data.add(key=key, value=str(value))
  return tensor
