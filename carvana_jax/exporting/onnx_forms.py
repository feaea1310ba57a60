"""Forms of an exported network for photos of any size.

Photos are made smaller as `datasets.images.reduce` does it, by averages over
areas, and logits larger as `masks.from_logits.enlarge` does it. ONNX's own
antialiased `Resize` has another filter; with it masks would be others than
those of `predict`.

**In rembg** (https://github.com/danielgatis/rembg, tried with 2.0.86) a network
is a file below ~/.rembg, or below the folder that REMBG_HOME names, and a model
of its kind `dis_custom`. rembg squashes photos to 1024x1024 pixels, divides
them by their largest value, and stretches what it is given from its least to
its largest value.
"""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from PIL import Image

from carvana_jax.datasets import fitting
from carvana_jax.exporting.onnx_graph import Graph
from carvana_jax.portable.facts import Facts

_REMBG_SIZE = (1024, 1024)  # of the pictures of rembg's `dis_custom`
_REMBG_SHIFT = np.float32(0.5)  # what it takes off their values, 0..1

_info = helper.make_tensor_value_info


def photo(network: onnx.ModelProto, facts: Facts) -> onnx.ModelProto:
  """Returns a model of form `photo`.

  It is given `image`, uint8 [height, width, 3], a photo of any size in sRGB,
  and makes `probability`, float32 [height, width].

  Args:
    network: the model of form `network`.
    facts: of the new model.
  """
  graph = Graph({}, 'photo/')
  logits = _photo_logits(graph, network, facts, 'image')
  graph.op('Sigmoid', logits, name='probability')
  return graph.model(
    [_info('image', TensorProto.UINT8, ['height', 'width', 3])],
    [_info('probability', TensorProto.FLOAT, ['height', 'width'])],
    facts.strings(),
  )


def rembg(network: onnx.ModelProto, facts: Facts) -> onnx.ModelProto:
  """Returns a model of form `rembg`.

  It is given `image`, float32 [1, 3, height, width], RGB from -0.5 to 0.5, and
  makes `probability`, float32 [1, 1, height, width].

  Args:
    network: the model of form `network`.
    facts: of the new model.
  """
  graph = Graph({}, 'photo/')
  number = lambda value: graph.constant(value, np.float32)
  x = graph.op('Squeeze', 'image', graph.constant([0]))
  x = graph.op('Transpose', x, perm=[1, 2, 0])
  x = graph.op('Add', x, number(_REMBG_SHIFT))
  x = graph.op('Round', graph.op('Mul', x, number(255)))
  x = graph.op('Clip', x, number(0), number(255))
  x = graph.op('Cast', x, to=TensorProto.UINT8)
  logits = _photo_logits(graph, network, facts, x)
  x = graph.op('Unsqueeze', logits, graph.constant([0, 1]))
  graph.op('Sigmoid', x, name='probability')
  return graph.model(
    [_info('image', TensorProto.FLOAT, [1, 3, 'height', 'width'])],
    [_info('probability', TensorProto.FLOAT, [1, 1, 'height', 'width'])],
    facts.strings(),
  )


def of(form: str, network: onnx.ModelProto, facts: Facts) -> onnx.ModelProto:
  """Returns a model of one of the forms `photo` and `rembg`; see there."""
  return {'photo': photo, 'rembg': rembg}[form](network, facts)


def as_rembg(pixels: np.ndarray) -> np.ndarray:
  """Returns what rembg makes of a photo before it asks a network.

  Args:
    pixels: uint8 [H, W, 3].

  Returns:
    uint8 [1024, 1024, 3].
  """
  small = Image.fromarray(pixels).resize(_REMBG_SIZE, Image.Resampling.LANCZOS)
  values = np.array(small)
  return np.rint(values * (255 / max(values.max(), 1))).astype(np.uint8)


def ask(
  session: onnxruntime.InferenceSession, form: str, pixels: np.ndarray
) -> np.ndarray:
  """Asks a model of one of these forms.

  Args:
    session: the model.
    form: photo or rembg.
    pixels: uint8 [H, W, 3]; for rembg what `as_rembg` returns.

  Returns:
    float32 [H, W], the probabilities.
  """
  if form == 'photo':
    return session.run(None, {'image': pixels})[0]
  values = pixels.transpose(2, 0, 1)[None] / np.float32(255)
  return session.run(None, {'image': values - _REMBG_SHIFT})[0][0, 0]


def _photo_logits(graph, network, facts, image):
  """Adds the way from a photo, uint8 [H, W, 3], to its logits, [H, W]."""
  lengths = graph.op('Slice', graph.op('Shape', image), *_ints(graph, [0], [2]))
  place = _place(graph, lengths, facts)
  x = image
  for axis, name in enumerate(('rows', 'columns')):
    # The axis comes first, and goes last: [H, W, 3] -> [W, 3, h] -> [3, h, w].
    shape = graph.op('Shape', x)
    x = graph.op('Reshape', x, graph.constant([0, -1]))
    x = _means(graph, name, x, _shares(graph, lengths, place, facts, axis))
    rest = graph.op('Slice', shape, *_ints(graph, [1], [3]))
    shape = graph.op('Concat', graph.constant([-1]), rest, axis=0)
    x = graph.op('Transpose', graph.op('Reshape', x, shape), perm=[1, 2, 0])
  x = graph.op('Transpose', x, perm=[1, 2, 0])
  x = graph.op('Cast', graph.op('Round', x), to=TensorProto.UINT8)
  x = graph.op('Unsqueeze', x, graph.constant([0]))
  graph.include(network, {'image': x}, leave_out=['probability'])
  x = 'logits'  # [1, h, w]
  if place:
    first, size = (graph.op('Cast', y, to=TensorProto.INT64) for y in place)
    axes = graph.constant([1, 2])
    x = graph.op('Slice', x, first, graph.op('Add', first, size), axes)
  x = graph.op('Unsqueeze', x, graph.constant([0]))
  sizes = graph.op('Concat', graph.constant([1, 1]), lengths, axis=0)
  x = graph.op('Resize', x, '', '', sizes, mode='linear')  # of half pixels
  return graph.op('Squeeze', x, graph.constant([0, 1]))


def _ints(graph, *lists):
  return [graph.constant(numbers) for numbers in lists]


def _place(graph, lengths, facts):
  """Adds `fitting.place`: top and left, height and width; None: it is all."""
  if facts.fit == 'stretch':
    return None
  doubles = lambda values: graph.constant(values, np.float64)
  most = doubles(facts.size)
  lengths = graph.op('Cast', lengths, to=TensorProto.DOUBLE)
  scales = graph.op('Div', most, lengths)
  least, largest = (
    graph.op(kind, scales, keepdims=1) for kind in ('ReduceMin', 'ReduceMax')
  )
  alike = graph.op(
    'LessOrEqual', largest, graph.op('Mul', least, doubles(fitting.ALIKE))
  )
  size = graph.op('Round', graph.op('Mul', lengths, least))
  size = graph.op('Min', graph.op('Max', size, doubles([1, 1])), most)
  size = graph.op('Where', alike, most, size)
  margins = graph.op('Sub', most, size)
  return graph.op('Floor', graph.op('Div', margins, doubles([2]))), size


def _shares(graph, lengths, place, facts, axis):
  """Adds which pixels of an axis a picture's pixels are the means of.

  Returns:
    The names of their indices, int64 [n, k], and of their shares, float32
    [n, k], which add up to 1.
  """
  double = lambda value: graph.constant(value, np.float64)
  number, one = facts.size[axis], double(1)
  pick = lambda x: graph.op('Gather', x, graph.constant(axis))
  length = graph.op('Cast', pick(lengths), to=TensorProto.DOUBLE)
  pixels, inner = double(list(range(number))), double(number)
  if place:
    first, inner = map(pick, place)
    # Around the photo its edges are repeated.
    pixels = graph.op('Sub', pixels, first)
    pixels = graph.op('Max', pixels, double(0))
    pixels = graph.op('Min', pixels, graph.op('Sub', inner, one))
  scale = graph.op('Div', length, inner)
  column = lambda x: graph.op('Unsqueeze', x, graph.constant([1]))
  begin = graph.op('Mul', column(pixels), scale)
  end = graph.op('Add', begin, scale)
  count = graph.op('Add', graph.op('Ceil', scale), one)
  taken = graph.op(
    'Add', graph.op('Floor', begin), graph.op('Range', double(0), count, one)
  )
  share = graph.op(
    'Sub',
    graph.op('Min', graph.op('Add', taken, one), end),
    graph.op('Max', taken, begin),
  )
  share = graph.op('Div', graph.op('Max', share, double(0)), scale)
  last = graph.op('Sub', length, one)
  return (
    graph.op('Cast', graph.op('Min', taken, last), to=TensorProto.INT64),
    graph.op('Cast', share, to=TensorProto.FLOAT),
  )


def _means(graph, name, x, shares):
  """Adds means of rows of [N, M]: float32 [n, M].

  They are taken row by row, so that a large photo is never held as float32.
  """
  index, share, rows, exact, mean = (
    f'photo/{name}/{part}' for part in ('index', 'share', 'of', 'exact', 'mean')
  )
  body = helper.make_graph(
    [
      helper.make_node('Gather', [x, index], [rows], axis=0),
      helper.make_node('Cast', [rows], [exact], to=TensorProto.FLOAT),
      helper.make_node('MatMul', [share, exact], [mean]),
    ],
    name,
    [
      _info(index, TensorProto.INT64, ['k']),
      _info(share, TensorProto.FLOAT, ['k']),
    ],
    [_info(mean, TensorProto.FLOAT, ['m'])],
  )
  return graph.op('Scan', *shares, body=body, num_scan_inputs=2)
