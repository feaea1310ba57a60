"""Reads VGG19's convolutions from the files in which others published them.

Such files come from anywhere, so nothing in them is executed: HDF5 links stay
inside the file, a pickle may name nothing but tensors, and sizes are compared
with VGG19's before anything is read.
"""

import hashlib
from typing import Any

import h5py
import safetensors

from carvana_jax.models import vgg_layers, vgg_torch
from carvana_jax.models.vgg_layers import AGAIN, OTHER
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# What to give as `config.model.encoder_weights`, in words.
FILES = (
  'the ImageNet weights of VGG19 (Keras .h5, torchvision .pth or .safetensors)'
)


def read(path: str) -> tuple[dict[str, Any], str]:
  """Reads the parameters of `vgg_unet.VGG19`.

  The file's format is told from its content: HDF5 as Keras writes it, with or
  without the layers that classify; a state dict of torchvision's vgg19 as
  `torch.save` has written it since 2017; the same as safetensors.

  Args:
    path: the file.

  Returns:
    {layer: {'kernel': [3, 3, in, out], 'bias': [out]}} in float32, and the
    SHA-256 of the file, 64 hexadecimal digits.

  Raises:
    UserError: the file cannot be read, is in no known format, is damaged, or
      holds something other than VGG19.
  """
  file = files.expand(path)
  try:
    with file.open('rb') as stream:
      digest = hashlib.file_digest(stream, 'sha256').hexdigest()
      stream.seek(0)
      head = stream.read(16)
  except OSError as error:
    raise UserError(f'{path} cannot be read ({error.strerror}); {OTHER}') from (
      error
    )
  reader = _reader(file, head)
  try:
    return reader(file), digest
  except UserError:
    raise
  # A damaged file makes each library raise exceptions of its own choice.
  except Exception as error:
    reason = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
    raise UserError(f'{file} is damaged ({reason}); {AGAIN}') from error


def _reader(file, head):
  """The function that reads the format of a file with these first bytes."""
  if head.startswith(b'\x89HDF\r\n\x1a\n'):
    return _read_hdf5
  if head.startswith(b'PK\x03\x04'):
    return vgg_torch.read_zip
  # The pickled number with which torch.save began before 1.6.
  if head.startswith(b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'):
    return vgg_torch.read_legacy
  # The length of a header in JSON, and its brace.
  if head[8:9] == b'{':
    return _read_safetensors
  raise UserError(
    f'{file} is neither HDF5 nor a .pth nor a .safetensors file; {OTHER}'
  )


def _read_hdf5(file):
  params = {}
  with h5py.File(file, 'r') as root:
    # A whole saved model keeps its weights one level down.
    root = _group(root, 'model_weights') or root
    for layer in vgg_layers.layers():
      group = _group(root, layer.name)
      found = _datasets(group) if group else {}
      params[layer.name] = {
        'kernel': _hdf5_array(file, layer.name, found.get(4), layer.kernel),
        'bias': _hdf5_array(file, layer.name, found.get(1), layer.kernel[3:]),
      }
  return params


def _group(parent, name):
  """The group of that name, None where there is none in the file itself."""
  if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
    return None
  return parent[name] if isinstance(parent[name], h5py.Group) else None


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
    raise vgg_layers.missing(file, name)
  if len(datasets) > 1:
    raise UserError(f'{file} has two sets of weights in {name}; {OTHER}')
  (dataset,) = datasets
  vgg_layers.check_shape(file, name, dataset.shape, shape)
  # Objects are pickles or references, and the others live in other files.
  if dataset.dtype.kind != 'f' or dataset.external or dataset.is_virtual:
    raise UserError(f'{file} does not hold numbers for {name}; {OTHER}')
  return vgg_layers.finite(file, name, dataset[()])


def _read_safetensors(file):
  with safetensors.safe_open(file, framework='numpy') as tensors:
    names = set(tensors.keys())

    def array(name, shape):
      if name not in names:
        raise vgg_layers.missing(file, name)
      tensor = tensors.get_slice(name)
      vgg_layers.check_shape(file, name, tuple(tensor.get_shape()), shape)
      if tensor.get_dtype() not in ('F32', 'F16'):
        raise UserError(
          f'{file} has {name} as {tensor.get_dtype()}, not as F32 or F16; '
          f'{OTHER}'
        )
      return tensors.get_tensor(name)

    return vgg_layers.from_torchvision(file, array)
