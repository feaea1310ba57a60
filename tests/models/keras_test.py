"""The published networks, built a second time in Keras with the same weights.

Keras is the independent reference: outputs in inference and in training, and
for one network the gradients, must agree. Both compute in double precision, so
that a difference is an error and not the rounding of forty layers.
"""

import functools
import importlib
import operator

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax import losses, models
from carvana_jax.host_tensorflow import tf
from carvana_jax.models import norm

keras = tf.keras
L = keras.layers

SIZE = (32, 48)
RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(size=(3, *SIZE, 3))
TARGET = RNG.uniform(size=(3, *SIZE))
# For the network that is shown differences as well.
SIX_CHANNELS = RNG.uniform(size=(3, *SIZE, 6))
SCALE = {'mean': np.linspace(0.1, 0.6, 6), 'std': np.linspace(0.2, 0.4, 6)}


def tiny_unet(poolings):
  """System B, from the slides' description."""
  conv = lambda width, size: L.Conv2D(
    width, size, padding='same', activation='relu'
  )
  image = x = keras.Input((*SIZE, 3))
  skips, widths = [], [8 * 2**i for i in range(poolings + 1)]
  for width in widths[:-1]:
    x = conv(width, 3)(conv(width, 3)(x))
    skips.append(x)
    x = L.MaxPooling2D(2)(x)
  x = conv(widths[-1], 3)(conv(widths[-1], 3)(x))
  for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
    x = conv(width, 2)(L.UpSampling2D(2)(x))
    x = L.Concatenate()([skip, x])
    x = conv(width, 3)(conv(width, 3)(x))
  x = conv(2, 3)(x)
  return keras.Model(image, L.Conv2D(1, 1)(x))


def bn_unet(first_width=64):
  """System D, from the README's description."""

  def block(x, width):
    x = L.Conv2D(width, 3, padding='same')(x)
    x = L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return L.ReLU()(x)

  image = x = keras.Input((*SIZE, 3))
  skips, widths = [], [first_width * 2**i for i in range(5)]
  for width in widths[:-1]:
    x = block(block(x, width), width)
    skips.append(x)
    x = L.MaxPooling2D(2)(x)
  x = block(block(x, widths[-1]), widths[-1])
  for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
    x = L.Concatenate()([skip, L.UpSampling2D(2)(x)])
    for _ in range(3):
      x = block(x, width)
  return keras.Model(image, L.Conv2D(1, 1)(x))


def median_cnn():
  """System C, from the notebook's description."""
  conv = lambda width, size, activation: L.Conv2D(
    width, size, padding='same', activation=activation
  )
  image = keras.Input((*SIZE, 6))
  x = L.Normalization(mean=SCALE['mean'], variance=SCALE['std'] ** 2)(image)
  x = conv(32, 5, 'relu')(conv(16, 10, 'relu')(x))
  return keras.Model(image, conv(1, 5, None)(x))


def plain_cnn():
  """System E's CNN."""
  image = x = keras.Input((*SIZE, 3))
  for width in (64, 128, 256):
    x = L.Conv2D(width, 3, padding='same', activation='relu')(x)
  return keras.Model(image, L.Conv2D(1, 1)(x))


def transposed_unet(levels=4, first_width=32):
  """System E's U-Net."""
  conv = lambda width: L.Conv2D(width, 3, padding='same', activation='relu')
  image = x = keras.Input((*SIZE, 3))
  skips, widths = [], [first_width * 2**i for i in range(levels)]
  for width in widths[:-1]:
    x = conv(width)(conv(width)(x))
    skips.append(x)
    x = L.MaxPooling2D(2)(x)
  x = conv(widths[-1])(conv(widths[-1])(x))
  for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
    x = L.Conv2DTranspose(width, 2, 2)(x)
    x = L.Concatenate()([skip, x])
    x = conv(width)(conv(width)(x))
  return keras.Model(image, L.Conv2D(1, 1)(x))


def vgg_unet():
  """System A, from the notebook's description."""
  image = x = keras.Input((*SIZE, 3))
  taps = []
  for convs, width in ((2, 64), (2, 128), (4, 256), (4, 512), (1, 512)):
    if x is not image:
      x = L.MaxPooling2D(2)(x)
    for _ in range(convs):
      x = L.Conv2D(width, 3, padding='same', activation='relu')(x)
      taps.append(x)
  up = lambda width, stride, **kwargs: L.Conv2DTranspose(
    width, 3, stride, padding='same', **kwargs
  )
  # In the order of `taps`: 0 and 1 are block 1, 2 and 3 block 2 and so on.
  for width, stride, tap in (
    (512, 1, 9),
    (512, 2, 8),
    (256, 1, 5),
    (256, 2, 4),
    (128, 1, 3),
    (128, 2, 2),
  ):
    x = up(width, stride, use_bias=False)(x)
    x = L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = L.ReLU()(x)
    if stride == 2:
      x = L.Concatenate()([taps[tap], x])
  return keras.Model(image, up(1, 2)(x))


def model_of(name):
  config = importlib.import_module(f'configs.{name}').get_config().model
  if 'dropout' in config:
    config.dropout = 0.0  # Keras draws other numbers
  return models.build(config).clone(dtype=jnp.float64)


def variables_and_order(model, image=IMAGE):
  """Random variables, and the layers' paths in the order of their calls."""
  order = []

  def remember(call, args, kwargs, context):
    if context.method_name == '__call__':
      order.append(context.module.scope.path)
    return call(*args, **kwargs)

  with norm.nn.intercept_methods(remember):
    variables = jax.eval_shape(
      lambda: model.init(jax.random.key(0), image[:1], train=False)
    )
  rng = np.random.default_rng(1)

  def draw(path, leaf):
    name = path[-1].key
    fan_in = np.prod(leaf.shape[:-1]) if leaf.ndim > 1 else 50
    values = rng.normal(0, np.sqrt(2 / fan_in), leaf.shape)
    values += 1 if name in ('scale', 'var') else 0
    return abs(values) if name == 'var' else values

  variables = jax.tree_util.tree_map_with_path(draw, variables)
  if 'input' in variables:
    variables['input'] = SCALE
  # Modules that only hold other modules have no leaves of their own.
  own = {
    tuple(key.key for key in path[:-1])
    for path, _ in jax.tree_util.tree_leaves_with_path(variables['params'])
  }
  return variables, [path for path in order if path in own]


def at(tree, path):
  return functools.reduce(operator.getitem, path, tree)


def copy_weights(variables, order, reference):
  """Gives Keras the same weights, layer by layer."""
  layers = [layer for layer in reference.layers if layer.weights]
  assert len(layers) == len(order)
  for layer, path in zip(layers, order, strict=True):
    params = at(variables['params'], path)
    if 'kernel' in params:
      kernel = params['kernel']  # [h, w, in, out]
      if isinstance(layer, L.Conv2DTranspose):
        # Keras keeps the kernel of the convolution that it transposes.
        kernel = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
      bias = [params['bias']] if 'bias' in params else []
      layer.set_weights([kernel, *bias])
    else:
      stats = at(variables['batch_stats'], path)
      layer.set_weights(
        [params['scale'], params['bias'], stats['mean'], stats['var']]
      )


CASES = (
  ('tiny_unet128', lambda: tiny_unet(3), 120_965),
  ('tiny_unet512', lambda: tiny_unet(4), 485_957),
  ('bn_unet128', bn_unet, 34_527_041 + 13_696),
  ('median_cnn100', median_cnn, 23_249, SIX_CHANNELS),
  ('cnn256', plain_cnn, 371_073),
  ('unet256', transposed_unet, None),  # not published
  ('vgg19_unet512', vgg_unet, None),  # nor this one
)


class KerasTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    keras.config.set_dtype_policy('float64')
    self.addCleanup(keras.config.set_dtype_policy, 'float32')

  @parameterized.named_parameters((case[0], *case) for case in CASES)
  def test_agrees_with_keras(self, name, build, parameters, image=IMAGE):
    model, reference = model_of(name), build()
    variables, order = variables_and_order(model, image)
    copy_weights(variables, order, reference)
    if parameters:
      self.assertEqual(reference.count_params(), parameters)
      counted = {name: variables[name] for name in variables if name != 'input'}
      self.assertEqual(
        sum(leaf.size for leaf in jax.tree.leaves(counted)), parameters
      )

    # Variables are arguments, as XLA takes its time over large constants.
    @jax.jit
    def infer(variables, image):
      return model.apply(variables, image, train=False)

    @jax.jit
    def train(variables, image):
      step = lambda x: model.apply(
        variables, x, train=True, mutable=['batch_stats']
      )
      logits, updates = jax.vmap(step, axis_name='batch')(image[None])
      return logits[0], jax.tree.map(lambda x: x[0], updates)

    expected = reference(image, training=False)[..., 0].numpy()
    self.assertGreater(np.ptp(expected), 0.1)
    chex.assert_trees_all_close(infer(variables, image), expected, atol=2e-5)
    logits, updates = train(variables, image)
    expected = reference(image, training=True)[..., 0].numpy()
    chex.assert_trees_all_close(logits, expected, atol=2e-5)
    for name, stats in updates.get('batch_stats', {}).items():
      layers = [layer for layer in reference.layers if layer.weights]
      weights = layers[order.index((name,))].get_weights()
      chex.assert_trees_all_close(
        (stats['mean'], stats['var']), tuple(weights[2:]), atol=2e-5
      )

  def test_gradients_agree_with_keras(self):
    model, reference = model_of('tiny_unet128'), tiny_unet(3)
    variables, order = variables_and_order(model)
    copy_weights(variables, order, reference)

    @jax.jit
    @jax.grad
    def gradient(params):
      logits = model.apply({'params': params}, IMAGE, train=True)
      return losses.bce(logits, TARGET).mean()

    ours = gradient(variables['params'])
    with tf.GradientTape() as tape:
      logits = reference(IMAGE, training=True)[..., 0]
      loss = tf.nn.sigmoid_cross_entropy_with_logits(TARGET, logits)
      loss = tf.reduce_mean(loss)
    theirs = tape.gradient(loss, reference.trainable_variables)
    theirs = iter(theirs)
    for path in order:
      for part in ('kernel', 'bias'):
        expected = next(theirs).numpy()
        self.assertGreater(np.abs(expected).max(), 1e-6)
        chex.assert_trees_all_close(at(ours, path)[part], expected, atol=2e-5)
