"""Reads VGG19's weights from files that torch.save has written.

Such a file is a pickle, which could run anything; the unpickler here makes
nothing but tensors.
"""

import collections
import io
import pathlib
import pickle
import pickletools
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

from carvana_jax.models import vgg_layers
from carvana_jax.models.vgg_layers import OTHER
from carvana_jax.system.errors import UserError

_LARGEST_PICKLE = 2**20  # bytes; torchvision's vgg19 has some 5000
_MOST_SHARED = 20  # uses of a tuple a second time

# What a pickle of tensors holds in the place of torch.FloatStorage.
_FLOAT_STORAGE = 'float32'


def read_zip(file: pathlib.Path) -> dict[str, Any]:
  """Reads the zip archive that torch.save has written since torch 1.6.

  Args:
    file: a state dict of torchvision's vgg19.

  Returns:
    The parameters, see `vgg_weights.read`.

  Raises:
    UserError: the file holds something else. Other exceptions are raised where
      it is damaged.
  """
  with zipfile.ZipFile(file) as archive:
    names = archive.namelist()
    root = names[0].split('/')[0]
    if f'{root}/data.pkl' not in names:
      raise UserError(f'{file} is a zip file but not one of torch; {OTHER}')

    def member(name, largest):
      info = archive.getinfo(f'{root}/{name}')
      # Uncompressed, it can't be larger than the file.
      if info.compress_type != zipfile.ZIP_STORED or info.file_size > largest:
        raise ValueError(f'{name} is compressed or too large')
      return archive.read(info)

    if f'{root}/byteorder' in names and member('byteorder', 10) != b'little':
      raise UserError(f'{file} comes from a big-endian machine; {OTHER}')
    state = _unpickle(file, io.BytesIO(member('data.pkl', _LARGEST_PICKLE)))

    def floats(storage):
      data = member(f'data/{storage.key}', 4 * storage.count)
      return np.frombuffer(data, '<f4', storage.count)

    return _from_state_dict(file, state, floats)


def read_legacy(file: pathlib.Path) -> dict[str, Any]:
  """Reads what torch.save wrote before 1.6: pickles, then storages in a row.

  The argument, the result and the errors are those of `read_zip`.
  """
  size = file.stat().st_size
  with file.open('rb') as stream:
    pickles = io.BytesIO(stream.read(_LARGEST_PICKLE))
    _magic, _protocol, machine, state, keys = (
      _unpickle(file, pickles) for _ in range(5)
    )
    if not machine['little_endian']:
      raise UserError(f'{file} comes from a big-endian machine; {OTHER}')
    places = {}  # key -> (position of its first number, how many)
    position = pickles.tell()
    for key in keys:
      stream.seek(position)
      (count,) = struct.unpack('<q', stream.read(8))
      places[key] = position + 8, count
      position += 8 + 4 * count
      if count < 0 or position > size:
        raise ValueError('it ends too early')

    def floats(storage):
      start, count = places[storage.key]
      if count != storage.count:
        raise ValueError('a storage has two sizes')
      stream.seek(start)
      return np.frombuffer(stream.read(4 * count), '<f4', count)

    return _from_state_dict(file, state, floats)


class _Storage(NamedTuple):
  """An array of float32 beside the pickle."""

  key: str
  count: int


class _Tensor:
  """A part of a storage, in the three ways that torch has pickled it."""

  def __init__(self, storage, offset, size, stride, *_):
    self.storage = storage
    self.offset = offset
    self.size = size
    self.stride = stride

  def __setstate__(self, state):
    self.__init__(*state)  # torch.FloatTensor, which came without arguments


class _Unpickler(pickle.Unpickler):
  """Makes nothing but tensors, dicts and the like."""

  # None of these can be changed by a pickle, or reach anything else.
  _ALLOWED = {  # noqa: RUF012 - constant
    'collections.OrderedDict': collections.OrderedDict,
    'torch._utils._rebuild_tensor_v2': _Tensor,
    'torch._utils._rebuild_tensor': _Tensor,  # before torch 0.4
    'torch.FloatTensor': _Tensor,  # in the first months of 2017
    'torch.FloatStorage': _FLOAT_STORAGE,
  }

  def __init__(self, stream, file):
    super().__init__(stream)
    self._file = file

  def find_class(self, module, name):
    name = f'{module}.{name}'
    if name not in self._ALLOWED:
      raise UserError(
        f'{self._file} asks for {name[:80]!r}, which weights in float32 have '
        f'no need of; nothing was run; {OTHER}'
      )
    return self._ALLOWED[name]

  def persistent_load(self, pid):
    # The last is None, or the part of the storage that it is a view of.
    kind, dtype, key, _location, count, *view = pid
    if (kind, dtype) != ('storage', _FLOAT_STORAGE) or any(view):
      raise ValueError('a storage of an unknown kind')
    if not isinstance(key, str) or not isinstance(count, int):
      raise ValueError('a storage without key or size')
    return _Storage(key, count)


def _unpickle(file, stream):
  """The next object of a stream that holds a few pickles."""
  start = stream.tell()
  # The unpickler allocates what a number in the pickle says. Parsing first
  # makes sure that strings are as long as they claim; the memo is left, and
  # tuples that hold each other twice, whose hash would take for ever.
  tuples, shared, last = set(), 0, ''
  for opcode, value, _ in pickletools.genops(stream):
    if opcode.name.endswith('PUT') and value > _LARGEST_PICKLE:
      raise ValueError('a memo beyond all bounds')
    if opcode.name.endswith('PUT') and last.startswith('TUPLE'):
      tuples.add(value)
    shared += opcode.name.endswith('GET') and value in tuples
    if shared > _MOST_SHARED or opcode.name in ('DUP', 'MEMOIZE'):
      raise ValueError('a pickle such as torch does not write')
    last = opcode.name
  end = stream.tell()
  stream.seek(start)
  return _Unpickler(io.BytesIO(stream.read(end - start)), file).load()


def _from_state_dict(file, state, floats):
  """Parameters from an unpickled object and the numbers of its storages."""
  if not isinstance(state, dict):
    raise UserError(f'{file} holds no state dict; {OTHER}')

  def array(name, shape):
    if name not in state:
      raise vgg_layers.missing(file, name)
    tensor = state[name]
    if not isinstance(tensor, _Tensor) or not _are_sizes(tensor.size):
      raise ValueError(f'{name} is no tensor')
    vgg_layers.check_shape(file, name, tensor.size, shape)
    # In float32, to compare the strides with those of an array in C order.
    strides = tuple(s // 4 for s in np.empty(shape, np.float32).strides)
    count = int(np.prod(shape))
    first = tensor.offset
    if tensor.stride != strides:
      raise UserError(f'{file} has the numbers of {name} out of order; {OTHER}')
    if not isinstance(tensor.storage, _Storage) or not _are_sizes((first,)):
      raise ValueError(f'{name} has no numbers')
    if first + count > tensor.storage.count:
      raise ValueError(f'{name} reaches beyond its numbers')
    return floats(tensor.storage)[first : first + count].reshape(shape)

  return vgg_layers.from_torchvision(file, array)


def _are_sizes(values):
  """Whether it is a short tuple of numbers from 0 on that can be printed."""
  return (
    isinstance(values, tuple)
    and len(values) < 10
    and all(isinstance(value, int) and 0 <= value < 2**40 for value in values)
  )
