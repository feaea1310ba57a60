"""Reads VGG19's convolutions from the files in which others published them.

Such files come from anywhere, so nothing in them is executed: HDF5 links stay
inside the file, a pickle may name nothing but tensors, and sizes are compared
with VGG19's before anything is read.
"""

import collections
import hashlib
import io
import pathlib
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
import safetensors

from carvana_jax.models import vgg_unet
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# What to give as `config.model.encoder_weights`, in words.
FILES = (
  'the ImageNet weights of VGG19 (Keras .h5, torchvision .pth or .safetensors)'
)
_OTHER = 'give the weights of VGG19 by Keras or torchvision.'
_AGAIN = 'download it again.'
_LARGEST_PICKLE = 2**20  # bytes; torchvision's vgg19 has some 5000
_MOST_SHARED = 20  # uses of a tuple a second time

# What a pickle of tensors holds in the place of torch.FloatStorage.
_FLOAT_STORAGE = 'float32'


class _Layer(NamedTuple):
  name: str  # in Keras
  index: int  # in torchvision's `features`
  kernel: tuple[int, int, int, int]  # [3, 3, in, out]


def read(path: str) -> tuple[dict[str, Any], str]:
  """The parameters of `vgg_unet.VGG19`, and the SHA-256 of the file in hex.

  The file's form is told from its content: HDF5 as of Keras, with or without
  the layers that classify; a state dict of torchvision's vgg19 as saved by
  `torch.save`, since 2017; the same as safetensors.

  Returns:
    {layer: {'kernel': [3, 3, in, out], 'bias': [out]}} in float32, and 64
    hexadecimal digits.

  Raises:
    UserError: the file cannot be read, is in no known form, is damaged, or
      holds something else than VGG19.
  """
  file = files.expand(path)
  try:
    with file.open('rb') as stream:
      digest = hashlib.file_digest(stream, 'sha256').hexdigest()
      stream.seek(0)
      head = stream.read(16)
  except OSError as error:
    raise UserError(
      f'{path} cannot be read ({error.strerror}); {_OTHER}'
    ) from (error)
  reader = _reader(file, head)
  try:
    return reader(file), digest
  except UserError:
    raise
  # A damaged file makes each library raise exceptions of its own choice.
  except Exception as error:
    reason = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
    raise UserError(f'{file} is damaged ({reason}); {_AGAIN}') from error


def _reader(file, head):
  """The function that reads the form of a file with these first bytes."""
  if head.startswith(b'\x89HDF\r\n\x1a\n'):
    return _read_hdf5
  if head.startswith(b'PK\x03\x04'):
    return _read_torch_zip
  # The pickled number with which torch.save began before 1.6.
  if head.startswith(b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'):
    return _read_torch_legacy
  # The length of a header in JSON, and its brace.
  if head[8:9] == b'{':
    return _read_safetensors
  raise UserError(
    f'{file} is neither HDF5 nor a .pth nor a .safetensors file; {_OTHER}'
  )


def _layers() -> list[_Layer]:
  layers = []
  index, channels = 0, 3
  for block, (convs, width) in enumerate(vgg_unet.BLOCKS, start=1):
    for i in range(1, convs + 1):
      kernel = (3, 3, channels, width)
      layers.append(_Layer(f'block{block}_conv{i}', index, kernel))
      index += 2  # the convolution and its ReLU
      channels = width
    index += 1  # the pooling
  return layers


def _read_hdf5(file):
  params = {}
  with h5py.File(file, 'r') as root:
    # A whole saved model keeps its weights one level down.
    root = _group(root, 'model_weights') or root
    for layer in _layers():
      group = _group(root, layer.name)
      found = _datasets(group) if group else {}
      params[layer.name] = {
        'kernel': _hdf5_array(file, layer.name, found.get(4), layer.kernel),
        'bias': _hdf5_array(file, layer.name, found.get(1), layer.kernel[3:]),
      }
  return params


def _group(parent, name):
  """The group of that name, None where there is none in the file itself."""
  if isinstance(parent.get(name, getlink=True), h5py.HardLink):
    item = parent[name]
    return item if isinstance(item, h5py.Group) else None
  return None


def _datasets(group):
  """Data sets at any depth, by their number of dimensions."""
  found = {}

  def collect(_, item):
    if isinstance(item, h5py.Dataset):
      found.setdefault(item.ndim, []).append(item)

  group.visititems(collect)  # follows no links to other files
  return found


def _hdf5_array(file, name, datasets, shape):
  if datasets is None:
    raise _missing(file, name)
  if len(datasets) > 1:
    raise UserError(f'{file} has two sets of weights in {name}; {_OTHER}')
  (dataset,) = datasets
  _check_shape(file, name, dataset.shape, shape)
  # Objects are pickles or references, and the others live in other files.
  if dataset.dtype.kind != 'f' or dataset.external or dataset.is_virtual:
    raise UserError(f'{file} does not hold numbers for {name}; {_OTHER}')
  return _finite(file, name, dataset[()])


def _read_safetensors(file):
  with safetensors.safe_open(file, framework='numpy') as tensors:
    names = set(tensors.keys())

    def array(name, shape):
      if name not in names:
        raise _missing(file, name)
      tensor = tensors.get_slice(name)
      _check_shape(file, name, tuple(tensor.get_shape()), shape)
      if tensor.get_dtype() not in ('F32', 'F16'):
        raise UserError(
          f'{file} has {name} as {tensor.get_dtype()}, not as F32 or F16; '
          f'{_OTHER}'
        )
      return tensors.get_tensor(name)

    return _from_torchvision(file, array)


def _from_torchvision(
  file, array: Callable[[str, tuple[int, ...]], np.ndarray]
):
  """Parameters from `array(name, shape)`, which has torchvision's names."""
  params = {}
  for layer in _layers():
    height, width, channels, out = layer.kernel
    name = f'features.{layer.index}.weight'
    kernel = array(name, (out, channels, height, width)).transpose(2, 3, 1, 0)
    bias_name = f'features.{layer.index}.bias'
    bias = array(bias_name, (out,))
    params[layer.name] = {
      'kernel': _finite(file, name, kernel),
      'bias': _finite(file, bias_name, bias),
    }
  return params


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
        f'no need of; nothing was run; {_OTHER}'
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


def _unpickle(file: pathlib.Path, stream: BinaryIO) -> Any:
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


def _read_torch_zip(file):
  """What torch.save writes since 1.6."""
  with zipfile.ZipFile(file) as archive:
    names = archive.namelist()
    root = names[0].split('/')[0]
    if f'{root}/data.pkl' not in names:
      raise UserError(f'{file} is a zip file but not one of torch; {_OTHER}')

    def member(name, largest):
      info = archive.getinfo(f'{root}/{name}')
      # Uncompressed, it can't be larger than the file.
      if info.compress_type != zipfile.ZIP_STORED or info.file_size > largest:
        raise ValueError(f'{name} is compressed or too large')
      return archive.read(info)

    if f'{root}/byteorder' in names and member('byteorder', 10) != b'little':
      raise UserError(f'{file} comes from a big-endian machine; {_OTHER}')
    state = _unpickle(file, io.BytesIO(member('data.pkl', _LARGEST_PICKLE)))

    def floats(storage):
      data = member(f'data/{storage.key}', 4 * storage.count)
      return np.frombuffer(data, '<f4', storage.count)

    return _from_state_dict(file, state, floats)


def _read_torch_legacy(file):
  """What torch.save wrote before 1.6: pickles, then all storages in a row."""
  size = file.stat().st_size
  with file.open('rb') as stream:
    pickles = io.BytesIO(stream.read(_LARGEST_PICKLE))
    _magic, _protocol, machine, state, keys = (
      _unpickle(file, pickles) for _ in range(5)
    )
    if not machine['little_endian']:
      raise UserError(f'{file} comes from a big-endian machine; {_OTHER}')
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


def _from_state_dict(
  file, state: Any, floats: Callable[[_Storage], np.ndarray]
):
  """Parameters from an unpickled object and the numbers of its storages."""
  if not isinstance(state, dict):
    raise UserError(f'{file} holds no state dict; {_OTHER}')

  def array(name, shape):
    if name not in state:
      raise _missing(file, name)
    tensor = state[name]
    if not isinstance(tensor, _Tensor) or not _are_sizes(tensor.size):
      raise ValueError(f'{name} is no tensor')
    _check_shape(file, name, tensor.size, shape)
    # In float32, to compare the strides with those of an array in C order.
    strides = tuple(s // 4 for s in np.empty(shape, np.float32).strides)
    count = int(np.prod(shape))
    first = tensor.offset
    if tensor.stride != strides:
      raise UserError(
        f'{file} has the numbers of {name} out of order; {_OTHER}'
      )
    if not isinstance(tensor.storage, _Storage) or not _are_sizes((first,)):
      raise ValueError(f'{name} has no numbers')
    if first + count > tensor.storage.count:
      raise ValueError(f'{name} reaches beyond its numbers')
    return floats(tensor.storage)[first : first + count].reshape(shape)

  return _from_torchvision(file, array)


def _are_sizes(values):
  """Whether it is a short tuple of numbers from 0 on that can be printed."""
  return (
    isinstance(values, tuple)
    and len(values) < 10
    and all(isinstance(value, int) and 0 <= value < 2**40 for value in values)
  )


def _missing(file, name):
  return UserError(f'{file} lacks {name}; {_OTHER}')


def _check_shape(file, name, shape, expected):
  if shape != expected:
    raise UserError(
      f'{file} has {name} with shape {shape}, where VGG19 has {expected}; '
      f'{_OTHER}'
    )


def _finite(file, name, values):
  """The values as a float32 array of its own."""
  values = np.array(values, np.float32, order='C')
  if not np.isfinite(values).all():
    raise UserError(
      f'{file} has infinite or undefined values in {name}; {_AGAIN}'
    )
  return values
