"""The published networks, built a second time in Keras with the same weights.

Keras is the independent reference, with its own constants where the authors
name none: outputs in inference and in training must agree, for one network the
gradients, for two what steps of Adam make of them, and how kernels start. Both
compute in double precision, so that a difference is an error and not the
rounding of forty layers.
"""

import functools
import importlib
import operator

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl.testing import parameterized

from benchmarks.frameworks import keras_networks
from benchmarks.frameworks.host_tensorflow import tf
from carvana_jax import models
from carvana_jax.models import conv, norm
from carvana_jax.training import losses
from carvana_jax.training.optimizer import make_optimizer

keras = tf.keras

SIZE = (32, 48)
RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(size=(3, *SIZE, 3))
TARGET = RNG.uniform(size=(3, *SIZE))
# For the network that is shown differences as well.
SIX_CHANNELS = RNG.uniform(size=(3, *SIZE, 6))
SCALE = {'mean': np.linspace(0.1, 0.6, 6), 'std': np.linspace(0.2, 0.4, 6)}


def config_of(name):
  config = importlib.import_module(f'carvana_jax.configs.{name}').get_config()
  if 'dropout' in config.model:
    config.model.dropout = 0.0  # Keras draws other numbers
  return config


def model_of(name, **changes):
  model = models.build(config_of(name).model)
  return model.clone(dtype=jnp.float64, **changes)


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
      if isinstance(layer, keras.layers.Conv2DTranspose):
        # Keras keeps the kernel of the convolution that it transposes.
        kernel = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
      bias = [params['bias']] if 'bias' in params else []
      layer.set_weights([kernel, *bias])
    else:
      stats = at(variables['batch_stats'], path)
      layer.set_weights(
        [params['scale'], params['bias'], stats['mean'], stats['var']]
      )


def gradients(reference):
  """Those of Keras's mean binary cross-entropy, in the order of its layers."""
  with tf.GradientTape() as tape:
    logits = reference(IMAGE, training=True)[..., 0]
    loss = tf.nn.sigmoid_cross_entropy_with_logits(TARGET, logits)
    loss = tf.reduce_mean(loss)
  return tape.gradient(loss, reference.trainable_variables)


CASES = (
  ('tiny_unet128', keras_networks.tiny_unet, 120_965),
  ('tiny_unet512', lambda size: keras_networks.tiny_unet(size, 4), 485_957),
  ('bn_unet128', keras_networks.bn_unet, 34_527_041 + 13_696),
  (
    'median_cnn100',
    lambda size: keras_networks.median_cnn(size, **SCALE),
    23_249,
    SIX_CHANNELS,
  ),
  ('cnn256', keras_networks.plain_cnn, 371_073),
  ('unet256', keras_networks.transposed_unet, None),  # not published
  ('vgg19_unet512', keras_networks.vgg_unet, None),  # nor this one
  (
    'studio',
    lambda size: keras_networks.bn_unet(size, 8, 2, momentum=0.9, epsilon=1e-5),
    None,
  ),  # nor this one
)


class KerasTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    keras.config.set_dtype_policy('float64')
    self.addCleanup(keras.config.set_dtype_policy, 'float32')

  @parameterized.named_parameters((case[0], *case) for case in CASES)
  def test_agrees_with_keras(self, name, build, parameters, image=IMAGE):
    model, reference = model_of(name), build(SIZE)
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

  @parameterized.parameters(
    ('tiny_unet128', {}, keras_networks.tiny_unet),
    (
      'bn_unet128',
      {'first_width': 4},
      lambda size: keras_networks.bn_unet(size, 4),
    ),
  )
  def test_steps_of_adam_agree_with_keras(self, name, changes, build):
    model, reference = model_of(name, **changes), build(SIZE)
    variables, order = variables_and_order(model)
    copy_weights(variables, order, reference)
    optimizer = make_optimizer(config_of(name).optimizer, 5)
    state = optimizer.init(variables['params'])

    def loss(params, stats):
      logits, updates = model.apply(
        {'params': params, **stats}, IMAGE, train=True, mutable=['batch_stats']
      )
      return losses.bce(logits, TARGET).mean(), updates

    # As users compile it: with the tests' XLA_FLAGS, which save time, XLA's
    # gradients of the second network are wrong by a third.
    @functools.partial(
      jax.jit, compiler_options={'xla_cpu_use_fusion_emitters': True}
    )
    def step(params, stats, state):
      one = jax.vmap(
        lambda _: jax.grad(loss, has_aux=True)(params, stats),
        axis_name='batch',
        axis_size=1,
      )(jnp.zeros(1))
      gradient, stats = jax.tree.map(lambda x: x[0], one)
      update, state = optimizer.update(gradient, state, params)
      return optax.apply_updates(params, update), stats, state

    params, stats = variables['params'], {}
    if 'batch_stats' in variables:
      stats = {'batch_stats': variables['batch_stats']}
    adam = keras.optimizers.Adam(1e-3)
    before = reference(IMAGE, training=False)[..., 0].numpy()
    for _ in range(5):
      params, stats, state = step(params, stats, state)
      adam.apply(gradients(reference), reference.trainable_variables)
    expected = reference(IMAGE, training=False)[..., 0].numpy()
    self.assertGreater(np.abs(expected - before).max(), 0.01)
    logits = model.apply({'params': params, **stats}, IMAGE, train=False)
    chex.assert_trees_all_close(logits, expected, atol=1e-4)

  def test_gradients_agree_with_keras(self):
    model, reference = model_of('tiny_unet128'), keras_networks.tiny_unet(SIZE)
    variables, order = variables_and_order(model)
    copy_weights(variables, order, reference)

    @jax.jit
    @jax.grad
    def gradient(params):
      logits = model.apply({'params': params}, IMAGE, train=True)
      return losses.bce(logits, TARGET).mean()

    ours = gradient(variables['params'])
    theirs = iter(gradients(reference))
    for path in order:
      for part in ('kernel', 'bias'):
        expected = next(theirs).numpy()
        self.assertGreater(np.abs(expected).max(), 1e-6)
        chex.assert_trees_all_close(at(ours, path)[part], expected, atol=2e-5)

  @parameterized.parameters(
    ('glorot_uniform', keras.initializers.GlorotUniform),
    ('he_normal', keras.initializers.HeNormal),
    ('normal', lambda seed: keras.initializers.RandomNormal(0.0, 0.02, seed)),
  )
  def test_kernels_start_as_those_of_keras(self, name, initializer):
    shape = (3, 3, 64, 128)
    theirs = initializer(seed=0)(shape).numpy()
    variables = conv.layer(128, 3, jnp.float32, 'x', kernel_init=name).init(
      jax.random.key(0), jnp.zeros((1, 8, 8, 64))
    )
    ours = np.asarray(variables['params']['kernel'])
    self.assertEqual(ours.shape, shape)
    shares = np.linspace(0.05, 0.95, 15)
    chex.assert_trees_all_close(
      np.quantile(ours, shares),
      np.quantile(theirs, shares),
      atol=0.06 * theirs.std(),
    )
    if name == 'glorot_uniform':
      self.assertLessEqual(np.abs(ours).max(), (6 / (9 * (64 + 128))) ** 0.5)
