"""Networks as graphs of ONNX: the same logits as those of JAX."""

import dataclasses
import importlib
import pathlib
import tempfile
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
from absl.testing import absltest, parameterized
from flax import traverse_util

from benchmarks import bright_network
from carvana_jax import models
from carvana_jax.configs import fast
from carvana_jax.datasets import spec
from carvana_jax.exporting import onnx_network
from carvana_jax.exporting.onnx_graph import Place
from carvana_jax.inference import predictor
from carvana_jax.models import cnn, unet, vgg_unet
from carvana_jax.portable import facts as facts_of_file
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run

CONFIGS = sorted(
  path.stem
  for path in (pathlib.Path(__file__).parents[2] / 'configs').glob('[!_]*.py')
)
SMALL = (13, 22)  # of no multiple of 4


def unet_of(**fields):
  return unet.UNet(**({'levels': 3, 'widths': (8, 12, 16)} | fields))


def variables_of(model, channels):
  """Random values everywhere, of a size that keeps the outputs' about 1."""
  image = jnp.zeros((1, 16, 16, channels))
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), image, train=False)
  )
  rng = np.random.default_rng(0)

  def value(path, leaf):
    if path[-1].key == 'kernel':
      values = rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape)
    elif path[-1].key in ('scale', 'std', 'var'):
      values = rng.uniform(0.5, 2, leaf.shape)
    else:
      values = rng.normal(0, 0.5, leaf.shape)
    return values.astype(np.float32)

  return jax.tree_util.tree_map_with_path(value, shapes)


def facts_of(size, channels=3, flip=False):
  inputs = ('red', 'green', 'blue', 'a', 'b', 'c')[:channels]
  return dataclasses.replace(
    bright_network.FACTS, size=size, inputs=inputs, flip=flip
  )


def run_of(model, variables):
  return trained_run.Run(None, model, variables, step=7, data='')


def flat(variables):
  return traverse_util.flatten_dict(variables, sep='/')


def places(arrays, file='', offsets=None):
  """Where arrays, or what only has their shapes, are in a file."""
  return {
    path: Place(
      file,
      offsets[path] if offsets else 0,
      x.size * x.dtype.itemsize,
      x.dtype.name,
      x.shape,
    )
    for path, x in arrays.items()
  }


def images_of(size, channels, batch):
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (batch, *size, channels), np.uint8)


def with_zeros(images, channels):
  """Adds channels of zeros, so that there are so many."""
  count = channels - images.shape[-1]
  return np.pad(images, ((0, 0), (0, 0), (0, 0), (0, count)))


def operators(model):
  return sorted(node.op_type for node in model.graph.node)


class OnnxNetworkTest(parameterized.TestCase):
  def assert_same(
    self, model, size=SMALL, channels=3, flip=False, of_network=None
  ):
    """Compares the logits with those of JAX, and returns the model.

    Where the network has more channels than the file, JAX is given zeros.
    """
    of_network = of_network or channels
    variables = variables_of(model, of_network)
    made = onnx_network.model(
      run_of(model, variables), flat(variables), facts_of(size, channels, flip)
    )
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    images = images_of(size, channels, 3)
    exact = model.clone(dtype=jnp.float32)
    expected = jax.jit(lambda x: predictor.logits(exact, flip, variables, x))(
      with_zeros(images, of_network)
    )
    self.assertGreater(np.std(expected), 0.05)
    # One at a time, and together.
    for batch in (images[:1], images):
      probability, logits = session.run(None, {'image': batch})
      wanted = np.asarray(expected[: len(batch)])
      np.testing.assert_allclose(logits, wanted, atol=1e-5)
      np.testing.assert_allclose(
        probability, 1 / (1 + np.exp(-wanted)), atol=1e-5
      )
    return made

  @parameterized.parameters(*unet.UPSAMPLINGS)
  def test_up_sampling_and_batch_normalisation(self, upsampling):
    self.assert_same(unet_of(upsampling=upsampling, conv_bias=False))

  @parameterized.parameters('none', 'batch', 'group')
  def test_norms_with_patches(self, norm):
    # An epsilon that is no other's, and that tells.
    model = unet_of(norm=norm, patch=2, norm_epsilon=0.3)
    self.assert_same(model, channels=4)

  def test_every_other_field_of_the_unet(self):
    model = unet_of(
      levels=2,
      widths=(),
      first_width=6,
      patch=3,
      encoder_convs=1,
      decoder_convs=3,
      head_width=5,
      dropout=0.5,
      dropout_levels=(0, 1),
      dtype=jnp.bfloat16,
    )
    self.assert_same(model, channels=6, flip=True)

  def test_one_level_at_a_size_without_padding(self):
    model = unet_of(levels=1, widths=(4,), norm='none')
    made = self.assert_same(model, (8, 12))
    self.assertNotIn('Pad', operators(made))
    self.assertNotIn('Slice', operators(made))

  @parameterized.parameters((True, 6), (False, 3))
  def test_plain_cnn(self, standardize, channels):
    model = cnn.CNN((4, 6), (10, 5), 5, standardize)
    self.assert_same(model, channels=channels, flip=True)

  def test_a_kernel_without_channels_of_zeros(self):
    model = unet_of(norm='group', patch=3)
    made = self.assert_same(model, channels=4, of_network=8)
    shapes = {x.name: x.dims for x in made.graph.initializer}
    self.assertEqual(shapes['down0_conv0/kernel'][1], 4 * 3**2)
    self.assertNotIn('Gather', operators(made))

  def test_channels_of_zeros_are_standardised(self):
    model = cnn.CNN((4,), (5,), 3, True)
    self.assert_same(model, channels=4, of_network=8)

  def test_vgg19_of_fewer_channels(self):
    narrow = lambda rows, place: tuple(
      tuple(x // 32 if i == place else x for i, x in enumerate(row))
      for row in rows
    )
    for name, place in (('BLOCKS', 1), ('DECODER', 0)):
      rows = narrow(getattr(vgg_unet, name), place)
      self.enter_context(mock.patch.object(vgg_unet, name, rows))
    self.assert_same(vgg_unet.VGGUNet(norm_epsilon=0.3), (16, 30))

  def test_the_mirrored_picture_counts_as_much(self):
    model = unet_of(norm='none')
    variables = variables_of(model, 3)
    made = onnx_network.model(
      run_of(model, variables), flat(variables), facts_of(SMALL, flip=True)
    )
    session = onnxruntime.InferenceSession(made.SerializeToString())
    image = images_of(SMALL, 3, 2)
    logits, mirrored = (
      session.run(['logits'], {'image': x})[0]
      for x in (image, image[:, :, ::-1])
    )
    np.testing.assert_allclose(logits, mirrored[:, :, ::-1], atol=1e-6)

  def test_weights_are_those_of_convolutions_alone(self):
    """Batch normalisation and layouts are no part of the computation."""
    config = fast.get_config()
    model = models.build(config.model)
    variables = variables_of(model, 3)
    made = onnx_network.model(
      run_of(model, variables), flat(variables), facts_of((64, 96))
    )
    kinds = operators(made)
    self.assertLess(len(kinds), 55)
    self.assertEqual(kinds.count('Conv'), 10 + 4 + 4 + 1)
    self.assertEqual(kinds.count('Relu'), 10 + 4)
    weights = [x for x in made.graph.initializer if x.dims and x.dims[0] > 8]
    self.assertLen(weights, 2 * kinds.count('Conv'))
    self.assertIn('down0_conv0/kernel', [x.name for x in weights])
    sizes = sum(leaf.size for leaf in flat(variables['params']).values())
    self.assertLess(made.ByteSize(), 4 * sizes + 20_000)

  def test_metadata(self):
    model = unet_of(levels=1, widths=(4,))
    variables = variables_of(model, 4)
    facts = facts_of((8, 12), 4, flip=True)
    made = onnx_network.model(run_of(model, variables), flat(variables), facts)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    entries = session.get_modelmeta().custom_metadata_map
    self.assertEqual(facts_of_file.read(entries, 'a.onnx'), facts)
    (image,) = session.get_inputs()
    self.assertEqual(image.name, 'image')
    self.assertEqual(image.type, 'tensor(uint8)')
    self.assertEqual(image.shape, ['batch', 8, 12, 4])
    outputs = {x.name: x.shape for x in session.get_outputs()}
    shape = ['batch', 8, 12]
    self.assertEqual(outputs, {'probability': shape, 'logits': shape})

  @parameterized.parameters(
    ('batch', 1, 3, 3), ('group', 1, 3, 3), ('batch', 2, 4, 8)
  )
  def test_weights_in_a_file_of_safetensors(
    self, norm, patch, channels, of_network
  ):
    """They stay as they are, and yet are folded on loading."""
    model = unet_of(norm=norm, patch=patch, upsampling='transposed')
    variables = variables_of(model, of_network)
    short = jax.tree.map(lambda x: x.astype(np.float16), variables)
    exact = jax.tree.map(lambda x: x.astype(np.float32), short)
    folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    file = folder / 'a.safetensors'
    safetensors.numpy.save_file(flat(short), file)
    content = file.read_bytes()
    offsets = {
      path: content.index(x.tobytes()) for path, x in flat(short).items()
    }
    facts = facts_of(SMALL, channels)
    run = run_of(model, variables)
    made = onnx_network.model(
      run, places(flat(short), file.name, offsets), facts
    )
    outside = [x.name for x in made.graph.initializer if x.external_data]
    self.assertCountEqual(outside, flat(short))
    onnx.save(made, folder / 'a.onnx')
    self.assertLess((folder / 'a.onnx').stat().st_size, 30_000)
    onnx.checker.check_model(str(folder / 'a.onnx'), full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
      onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    options.optimized_model_filepath = str(folder / 'folded.onnx')
    session = onnxruntime.InferenceSession(folder / 'a.onnx', options)
    images = images_of(SMALL, channels, 2)
    expected = jax.jit(lambda x: model.apply(exact, x / 255, train=False))(
      with_zeros(images, of_network)
    )
    (logits,) = session.run(['logits'], {'image': images})
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    inside = onnx_network.model(run, flat(exact), facts)
    self.assertEqual(
      operators(onnx.load(folder / 'folded.onnx')), operators(inside)
    )

  @parameterized.parameters(*CONFIGS)
  def test_configs(self, name):
    """Shapes alone, as some networks are large."""
    module = importlib.import_module(f'carvana_jax.configs.{name}')
    config = module.get_config()
    model = models.build(config.model)
    channels = 6 if config.data.multiview else 3
    image = jax.ShapeDtypeStruct((1, 16, 16, channels), jnp.float32)
    variables = jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), image
    )
    size = spec.parse_size(config.data.size or '512x768')
    made = onnx_network.model(
      run_of(model, variables),
      places(flat(variables), 'a.safetensors'),
      facts_of(size, channels),
    )
    # Each node's shapes follow from the input's and those of the weights.
    made.graph.output[0].CopyFrom(
      onnx.helper.make_tensor_value_info(
        'probability', onnx.TensorProto.FLOAT, None
      )
    )
    inferred = onnx.shape_inference.infer_shapes(made, True, True, True)
    shape = inferred.graph.output[0].type.tensor_type.shape.dim
    self.assertEqual([x.dim_value for x in shape][1:], [*size])
    used = {x for node in made.graph.node for x in node.input}
    self.assertContainsSubset(flat(variables), used)

  def test_refuses_what_no_file_can_hold(self):
    model = unet_of()
    large = np.broadcast_to(np.float32(0), 2**30)
    with self.assertRaisesRegex(UserError, r'4\.3 GB .* \.safetensors'):
      onnx_network.model(
        run_of(model, {}), {'params/logits/kernel': large}, facts_of(SMALL)
      )


if __name__ == '__main__':
  absltest.main()
