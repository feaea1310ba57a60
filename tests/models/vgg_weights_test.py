"""VGG19's weights from every published form; files that must be refused.

The forms agree with each other, and with what Keras makes of the same file.
"""

import hashlib
import io
import os
import pathlib
import pickle
import struct
import tempfile
import zipfile

import chex
import h5py
import jax
import numpy as np
import safetensors.numpy
from absl.testing import parameterized

from benchmarks.frameworks.host_tensorflow import tf
from carvana_jax.models import vgg_unet, vgg_weights
from carvana_jax.system.errors import UserError

TAPS = (
  'block2_conv1',
  'block2_conv2',
  'block3_conv1',
  'block3_conv2',
  'block4_conv1',
  'block4_conv2',
  'block5_conv1',
)
# All of VGG19's convolutions: name, number in torchvision, channels in and out.
LAYERS = (
  ('block1_conv1', 0, 3, 64),
  ('block1_conv2', 2, 64, 64),
  ('block2_conv1', 5, 64, 128),
  ('block2_conv2', 7, 128, 128),
  ('block3_conv1', 10, 128, 256),
  ('block3_conv2', 12, 256, 256),
  ('block3_conv3', 14, 256, 256),
  ('block3_conv4', 16, 256, 256),
  ('block4_conv1', 19, 256, 512),
  ('block4_conv2', 21, 512, 512),
  ('block4_conv3', 23, 512, 512),
  ('block4_conv4', 25, 512, 512),
  ('block5_conv1', 28, 512, 512),
  ('block5_conv2', 30, 512, 512),
  ('block5_conv3', 32, 512, 512),
  ('block5_conv4', 34, 512, 512),
)
USED = 13


def random_weights():
  """{layer: (kernel, bias)} of all layers, as large as trained ones."""
  rng = np.random.default_rng(0)
  weights = {}
  for name, _, channels, width in LAYERS:
    kernel = rng.standard_normal((3, 3, channels, width), np.float32)
    kernel *= np.sqrt(2 / (9 * channels), dtype=np.float32)
    bias = rng.normal(0, 0.1, width).astype(np.float32)
    weights[name] = kernel, bias
  return weights


def torchvision(weights):
  """The same with torchvision's names and axes, down to block5_conv1."""
  state = {}
  for name, index, *_ in LAYERS[:USED]:
    kernel, bias = weights[name]
    kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    state[f'features.{index}.weight'] = kernel
    state[f'features.{index}.bias'] = bias
  return state


def write_hdf5(path, weights):
  """As Keras 1 did in 2016."""
  with h5py.File(path, 'w') as root:
    names = ['input_1']
    for block in range(1, 6):
      names += [name for name in weights if name.startswith(f'block{block}')]
      names.append(f'block{block}_pool')
    root.attrs['layer_names'] = [name.encode() for name in names]
    for name in names:
      group = root.create_group(name)
      own = (f'{name}_W_1:0', f'{name}_b_1:0') if name in weights else ()
      group.attrs['weight_names'] = [name.encode() for name in own]
      for array, of in zip(own, weights.get(name, ()), strict=True):
        group[array] = of


def value(python):
  """Pickled, without the frame around it."""
  return pickle.dumps(python, 2)[2:-1]


def pickled_state(state, **strides):
  """An OrderedDict of tensors in protocol 2, whose storages are elsewhere."""
  parts = [b'\x80\x02ccollections\nOrderedDict\n)R(']
  for name, array in state.items():
    storage = (
      b'('
      + value('storage')
      + b'ctorch\nFloatStorage\n'
      + b''.join(map(value, (name, 'cuda:0', array.size)))
    )
    stride = tuple(s // array.itemsize for s in array.strides)
    parts += [
      value(name),
      b'ctorch._utils\n_rebuild_tensor_v2\n(',
      storage,
      b'tQ',
      value(0),
      value(array.shape),
      value(strides.get(name, stride)),
      value(False),
      b'ccollections\nOrderedDict\n)RtR',
    ]
  return b''.join([*parts, b'u.'])


def write_zip(path, state, pickled=None):
  """As torch.save does since 1.6."""
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('vgg/data.pkl', pickled or pickled_state(state))
    archive.writestr('vgg/byteorder', 'little')
    for name, array in state.items():
      archive.writestr(f'vgg/data/{name}', array.tobytes())


def write_legacy(path, state, pickled=None):
  """As torch.save did before."""
  with open(path, 'wb') as file:
    for part in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}):
      file.write(pickle.dumps(part, 2))
    file.write(pickled or pickled_state(state))
    names = sorted(state)  # not in the order of the layers
    file.write(pickle.dumps(names, 2))
    for name in names:
      file.write(struct.pack('<q', state[name].size) + state[name].tobytes())


def write_safetensors(path, state):
  safetensors.numpy.save_file(state, path)


WRITERS = {
  'zip': write_zip,
  'legacy': write_legacy,
  'safetensors': write_safetensors,
}


class VGGWeightsTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.folder = pathlib.Path(folder.name)
    cls.weights = random_weights()
    cls.state = torchvision(cls.weights)
    write_hdf5(cls.folder / 'hdf5', cls.weights)
    cls.expected, _ = vgg_weights.read(cls.folder / 'hdf5')

  def path(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    return pathlib.Path(folder) / 'weights'

  def assert_refused(self, path, *words):
    with self.assertRaises(UserError) as caught:
      vgg_weights.read(str(path))
    text = str(caught.exception)
    for word in (str(path), *words):
      self.assertIn(word, text)
    self.assertNotIn('\n', text)

  def test_hdf5_agrees_with_keras(self):
    image = np.random.default_rng(1).uniform(size=(2, 32, 48, 3))
    image = image.astype(np.float32)
    keras = tf.keras.applications.VGG19(
      weights=None, include_top=False, input_shape=image.shape[1:]
    )
    path = self.folder / 'notop.h5'  # Keras goes by the name
    path.symlink_to(self.folder / 'hdf5')
    keras.load_weights(path)
    taps = [keras.get_layer(name).output for name in TAPS]
    expected = tf.keras.Model(keras.input, taps)(image)
    ours = jax.jit(vgg_unet.VGG19().apply)({'params': self.expected}, image)
    self.assertLen(ours, len(TAPS))
    for tap, other in zip(ours, expected, strict=True):
      self.assertGreater(other.numpy().std(), 0.1)
      chex.assert_trees_all_close(tap, other.numpy(), atol=1e-4)

  @parameterized.parameters(*WRITERS)
  def test_forms_agree(self, form):
    path = self.path()
    WRITERS[form](path, self.state)
    params, digest = vgg_weights.read(str(path))
    chex.assert_trees_all_equal(params, self.expected)
    chex.assert_trees_all_equal_shapes_and_dtypes(
      params,
      jax.eval_shape(
        lambda: vgg_unet.VGG19().init(
          jax.random.key(0), np.zeros((1, 16, 16, 3), np.float32)
        )
      )['params'],
    )
    self.assertEqual(digest, hashlib.sha256(path.read_bytes()).hexdigest())
    # Cut off in the numbers.
    os.truncate(path, path.stat().st_size - 1000)
    self.assert_refused(path, 'damaged', 'download it again')

  def test_saved_model_of_keras(self):
    """Weights are one level down and in groups of their own."""
    path = self.path()
    with h5py.File(path, 'w') as root:
      for name, (kernel, bias) in self.weights.items():
        root[f'model_weights/{name}/{name}/kernel:0'] = kernel
        root[f'model_weights/{name}/{name}/bias:0'] = bias
    chex.assert_trees_all_equal(vgg_weights.read(path)[0], self.expected)

  def test_tensors_of_2017(self):
    """torch.FloatTensor set by its state, and the first rebuild function."""
    state = pickled_state(self.state)
    new = b'ctorch._utils\n_rebuild_tensor_v2\n('
    rest = value(False) + b'ccollections\nOrderedDict\n)RtR'
    path = self.path()
    for before, after in (
      (b'ctorch._utils\n_rebuild_tensor\n(', b'tR'),
      (b'ctorch\nFloatTensor\n)\x81(', b'tb'),
    ):
      old = state.replace(new, before).replace(rest, after)
      write_legacy(path, self.state, old)
      chex.assert_trees_all_equal(vgg_weights.read(path)[0], self.expected)

  def test_half_precision(self):
    state = {
      name: array.astype(np.float16) for name, array in self.state.items()
    }
    path = self.path()
    write_safetensors(path, state)
    params, _ = vgg_weights.read(path)
    chex.assert_trees_all_close(params, self.expected, atol=1e-3)
    self.assertEqual(params['block1_conv1']['bias'].dtype, np.float32)

  @parameterized.parameters(*WRITERS)
  def test_missing_layer(self, form):
    path = self.path()
    first = {
      name: self.state[name]
      for name in ('features.0.weight', 'features.0.bias')
    }
    WRITERS[form](path, first)
    self.assert_refused(path, 'lacks features.2.weight')

  @parameterized.parameters(*WRITERS)
  def test_wrong_shape(self, form):
    path = self.path()
    WRITERS[form](path, {'features.0.weight': np.ones((64, 3, 7, 7), 'f4')})
    self.assert_refused(path, 'features.0.weight', '(64, 3, 7, 7)')

  @parameterized.parameters(*WRITERS)
  def test_not_finite(self, form):
    path = self.path()
    kernel = self.state['features.0.weight'].copy()
    kernel[1, 2, 0, 1] = np.nan
    bias = self.state['features.0.bias']
    WRITERS[form](path, {'features.0.weight': kernel, 'features.0.bias': bias})
    self.assert_refused(path, 'undefined values in features.0.weight')

  def test_broken_hdf5(self):
    kernel, bias = self.weights['block1_conv1']
    other = self.folder / 'hdf5'

    def external(group):
      group['W'] = h5py.ExternalLink(other, '/block1_conv1/block1_conv1_W_1:0')
      group['b'] = bias

    def outside(group):
      group.create_dataset(
        'W', kernel.shape, 'f4', external=[(str(other), 0, kernel.nbytes)]
      )
      group['b'] = bias

    def virtual(group):
      layout = h5py.VirtualLayout(kernel.shape, 'f4')
      name = '/block1_conv1/block1_conv1_W_1:0'
      layout[...] = h5py.VirtualSource(other, name, kernel.shape)
      group.create_virtual_dataset('W', layout)
      group['b'] = bias

    def objects(group):
      group.create_dataset('W', kernel.shape, h5py.string_dtype())

    def double(group):
      group['W'], group['V'] = kernel, kernel

    def narrow(group):
      group['W'] = kernel[..., :32]

    def alone(group):
      group['W'], group['b'] = kernel, bias

    path = self.path()
    for write, words in (
      (external, 'lacks block1_conv1'),
      (outside, 'does not hold numbers for block1_conv1'),
      (virtual, 'does not hold numbers for block1_conv1'),
      (objects, 'does not hold numbers for block1_conv1'),
      (double, 'two sets of weights in block1_conv1'),
      (narrow, '(3, 3, 3, 32)'),
      (alone, 'lacks block1_conv2'),
    ):
      with self.subTest(write.__name__):
        with h5py.File(path, 'w') as root:
          write(root.create_group('block1_conv1'))
        self.assert_refused(path, words)
    with h5py.File(path, 'w') as root:
      root['block1_conv1'] = h5py.ExternalLink(other, '/block1_conv1')
    self.assert_refused(path, 'lacks block1_conv1')
    path.write_bytes(other.read_bytes()[:100_000])
    self.assert_refused(path, 'damaged')

  @parameterized.parameters(write_zip, write_legacy)
  def test_pickles_run_nothing(self, write):
    victim = self.path().with_name('victim')

    class Malicious:
      def __reduce__(self):
        return os.system, (f'touch {victim}',)

    path = self.path()
    write(path, {}, pickle.dumps(Malicious(), 2))
    self.assert_refused(path, f'{os.system.__module__}.system', 'nothing was')
    self.assertFalse(victim.exists())
    pickle.loads(pickle.dumps(Malicious(), 2))
    self.assertTrue(victim.exists())  # it would have worked

  @parameterized.parameters(write_zip, write_legacy)
  def test_broken_pickles(self, write):
    name = 'features.0.weight'
    state = {name: self.state[name]}
    pickled = pickled_state(state)
    size = value(state[name].size)
    path = self.path()
    for words, broken in (
      ('holds no state dict', pickle.dumps([1], 2)),
      ('features.0.weight is no tensor', pickle.dumps({name: 1}, 2)),
      ('out of order', pickled_state(state, **{name: (27, 1, 9, 3)})),
      ('damaged', pickled.replace(b'tQ' + value(0), b'tQ' + value(-1))),
      ('beyond its numbers', pickled.replace(b'tQ' + value(0), b'tQ' + b'K\1')),
      ('damaged', pickled.replace(size + b'tQ', value(2**40) + b'tQ')),
      ('unknown kind', pickled.replace(value('storage'), value('other'))),
      ('torch.LongStorage', pickled.replace(b'FloatSt', b'LongSt')),
      ('bounds', b'\x80\x02Nr' + struct.pack('<I', 2**31) + b'.'),
      ('damaged', b'\x80\x05\x96' + struct.pack('<Q', 2**60) + b'.'),
      ('damaged', pickled[:-40]),
    ):
      with self.subTest(words):
        self.assertNotEqual(broken, pickled)
        write(path, state, broken)
        self.assert_refused(path, words)

  def test_zip_of_something_else(self):
    path = self.path()
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr('photos/1.jpg', b'')
    self.assert_refused(path, 'not one of torch')

  def test_compressed_zip(self):
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w', zipfile.ZIP_DEFLATED) as archive:
      archive.writestr('vgg/data.pkl', bytes(2**16))
    path = self.path()
    path.write_bytes(data.getvalue())
    self.assert_refused(path, 'compressed or too large')

  def test_no_known_form(self):
    path = self.path()
    self.assert_refused(path, 'cannot be read')
    self.assert_refused(path.parent, 'cannot be read')
    for content in (b'', b'<html>', b'version https://git-lfs.github.com'):
      path.write_bytes(content)
      self.assert_refused(path, 'neither HDF5 nor')
