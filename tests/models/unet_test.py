"""U-Net: shapes, and gradients through every part."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from flax import linen as nn
from jax import flatten_util

from carvana_jax.models import unet
from carvana_jax.training import losses


def variables_of(model):
  image = jnp.zeros((1, 16, 16, 3))
  return jax.jit(lambda key: model.init(key, image, train=False))(
    jax.random.key(0)
  )


def random_image(*shape):
  return jax.random.uniform(jax.random.key(1), shape)


class UNetTest(chex.TestCase):
  @parameterized.product(
    size=[(16, 16), (32, 48), (17, 23), (1, 1), (30, 5)],
    norm=unet.NORMS,
    upsampling=unet.UPSAMPLINGS,
  )
  def test_output_has_the_size_of_the_input(self, size, norm, upsampling):
    model = unet.UNet(levels=4, first_width=4, norm=norm, upsampling=upsampling)
    image = jnp.zeros((2, *size, 3))
    logits, _ = jax.eval_shape(
      lambda: model.init_with_output(jax.random.key(0), image, train=False)
    )
    chex.assert_shape(logits, (2, *size))
    self.assertEqual(logits.dtype, jnp.float32)

  @parameterized.parameters((16, 16), (17, 23), (1, 1))
  def test_patches_of_pixels(self, *size):
    model = unet.UNet(levels=2, widths=(6, 5), patch=4)
    image = jnp.zeros((2, *size, 3))
    logits, variables = jax.eval_shape(
      lambda: model.init_with_output(jax.random.key(0), image, train=False)
    )
    chex.assert_shape(logits, (2, *size))
    shape = lambda name: variables['params'][name]['kernel'].shape
    self.assertEqual(shape('down0_conv0'), (3, 3, 48, 6))
    self.assertEqual(shape('down1_conv0'), (3, 3, 6, 5))
    self.assertEqual(shape('logits'), (1, 1, 6, 16))

  def test_logits_stay_at_their_pixels(self):
    """With the centre of each kernel alone, nothing leaves its patch."""
    model = unet.UNet(levels=1, widths=(8,), patch=2, norm='none')
    variables = jax.tree.map(
      lambda p: (
        p * (np.arange(9).reshape(3, 3, 1, 1) == 4)
        if p.shape[:2] == (3, 3)
        else p
      ),
      variables_of(model),
    )
    image = random_image(1, 6, 8, 3)
    logits = model.apply(variables, image, train=False)
    other = model.apply(variables, image.at[0, 3, 4].add(1), train=False)
    rows, columns = np.nonzero(np.abs(other - logits)[0] > 1e-6)
    self.assertEqual({*zip(rows // 2, columns // 2, strict=True)}, {(1, 2)})

  def test_depth_to_space_undoes_space_to_depth(self):
    image = random_image(2, 6, 9, 2)
    deep = unet.space_to_depth(image, 3)
    chex.assert_shape(deep, (2, 2, 3, 18))
    np.testing.assert_array_equal(deep[1, 1, 2, 2:4], image[1, 3, 7])
    chex.assert_trees_all_equal(unet.depth_to_space(deep, 3), image)

  @parameterized.parameters(1, 3, 6)
  def test_any_number_of_input_channels(self, channels):
    model = unet.UNet(levels=2, first_width=4)
    image = jnp.zeros((2, 8, 8, channels))
    logits, variables = jax.eval_shape(
      lambda: model.init_with_output(jax.random.key(0), image, train=False)
    )
    chex.assert_shape(logits, (2, 8, 8))
    kernel = variables['params']['down0_conv0']['kernel']
    chex.assert_shape(kernel, (3, 3, channels, 4))

  @parameterized.parameters('batch', 'group', 'none')
  def test_only_batch_normalisation_does_without_bias(self, norm):
    model = unet.UNet(levels=2, first_width=4, norm=norm, conv_bias=False)
    image = jnp.zeros((1, 8, 8, 3))
    shapes = jax.eval_shape(
      lambda: model.init(jax.random.key(0), image, train=False)
    )['params']
    self.assertEqual('bias' in shapes['down0_conv0'], norm != 'batch')
    self.assertIn('bias', shapes['logits'])

  def test_a_bias_before_batch_normalisation_changes_nothing(self):
    image = random_image(2, 8, 8, 3)
    without = unet.UNet(levels=2, first_width=4, conv_bias=False)
    variables = variables_of(without)
    biased = jax.tree.map(lambda x: x, variables)
    for level, name in ((0, 'down0_conv0'), (1, 'down1_conv1')):
      width = 4 * 2**level
      biased['params'][name]['bias'] = jnp.arange(width, dtype=jnp.float32)
    with_bias = unet.UNet(levels=2, first_width=4)
    for layer in biased['params'].values():
      if 'kernel' in layer and 'bias' not in layer:
        layer['bias'] = jnp.zeros(layer['kernel'].shape[-1])
    logits = [
      jax.vmap(
        lambda x, model=model, variables=variables: model.apply(
          variables, x[None], train=True, mutable=['batch_stats']
        )[0],
        axis_name='batch',
      )(image)
      for model, variables in ((without, variables), (with_bias, biased))
    ]
    chex.assert_trees_all_close(*logits, atol=1e-4)

  def test_cropping_is_exact(self):
    # An image that is its own edge padding gives the same logits either way.
    model = unet.UNet(levels=3, first_width=4, norm='group')
    image = random_image(1, 14, 13, 3)
    padded = jnp.pad(image, ((0, 0), (0, 2), (0, 3), (0, 0)), mode='edge')
    variables = variables_of(model)
    logits = model.apply(variables, image, train=False)
    expected = model.apply(variables, padded, train=False)[:, :14, :13]
    chex.assert_trees_all_close(logits, expected, atol=1e-5)

  @parameterized.parameters(*unet.UPSAMPLINGS)
  def test_every_skip_carries_gradient(self, upsampling):
    """Each level's features reach the output on their own path."""
    levels, width = 4, 4
    model = unet.UNet(
      levels=levels, first_width=width, upsampling=upsampling, norm='none'
    )
    variables = variables_of(model)
    image = random_image(2, 16, 16, 3)

    def total(params):
      logits = model.apply({'params': params}, image, train=True)
      return jnp.sum(logits**2)

    gradient = jax.jit(jax.grad(total))(variables['params'])
    for level in range(levels - 1):
      # The first convolution after the join sees (skip, enlarged).
      kernel = gradient[f'up{level}_conv0']['kernel']  # [3, 3, in, out]
      skip = kernel[:, :, : width * 2**level]
      self.assertLess(skip.shape[2], kernel.shape[2])
      self.assertGreater(float(jnp.abs(skip).max()), 0, level)

  @parameterized.parameters((2, 1, 3, 6), (3, 2, 2, 4), (5, 3, 1, 4))
  def test_depth_convolutions_and_width_are_free(self, levels, down, up, width):
    model = unet.UNet(
      levels=levels,
      first_width=width,
      encoder_convs=down,
      decoder_convs=up,
      norm='none',
    )
    params = jax.eval_shape(lambda: variables_of(model)['params'])
    widths = [width * 2**level for level in range(levels)]
    expected = {
      f'down{level}_conv{i}': x
      for level, x in enumerate(widths)
      for i in range(down)
    } | {
      f'up{level}_conv{i}': x
      for level, x in enumerate(widths[:-1])
      for i in range(up)
    }
    found = {name: leaf['bias'].shape[0] for name, leaf in params.items()}
    self.assertEqual(found, expected | {'logits': 1})

  def test_all_parameters_get_gradient(self):
    model = unet.UNet(levels=3, first_width=4, norm='group', head_width=2)
    variables = variables_of(model)
    image = random_image(2, 16, 16, 3)
    loss = lambda params: jnp.sum(
      model.apply({'params': params}, image, train=True) ** 2
    )
    gradient = jax.jit(jax.grad(loss))(variables['params'])
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
      self.assertGreater(float(jnp.abs(leaf).max()), 0, str(path))

  @parameterized.parameters(*unet.UPSAMPLINGS)
  def test_gradient_agrees_with_finite_differences(self, upsampling):
    with jax.enable_x64(True):
      model = unet.UNet(
        levels=2,
        first_width=4,
        norm='group',
        upsampling=upsampling,
        dtype=jnp.float64,
      )
      to_double = lambda p: p.astype(jnp.float64)
      params = jax.tree.map(to_double, variables_of(model)['params'])
      image = random_image(2, 8, 8, 3)
      target = jnp.round(random_image(2, 8, 8))

      @jax.jit
      def loss(params):
        logits = model.apply({'params': params}, image, train=True)
        return losses.bce_dice(logits, target).mean()

      gradient, shape_back = flatten_util.ravel_pytree(jax.grad(loss)(params))
      point, _ = flatten_util.ravel_pytree(params)
      rng = np.random.default_rng(0)
      for _ in range(5):
        direction = rng.choice([-1.0, 1.0], point.shape)
        at = lambda step, d=direction: loss(shape_back(point + step * d))
        measured = (at(1e-7) - at(-1e-7)) / 2e-7
        expected = gradient @ direction
        np.testing.assert_allclose(measured, expected, rtol=1e-4)

  def test_max_pool_is_linens(self):
    image = jax.random.normal(jax.random.key(0), (2, 8, 6, 3))
    expected = nn.max_pool(image, (2, 2), (2, 2))
    chex.assert_trees_all_equal(unet.max_pool(image), expected)
    by_ours = jax.grad(lambda x: jnp.sum(unet.max_pool(x) ** 2))(image)
    by_linen = jax.grad(lambda x: jnp.sum(nn.max_pool(x, (2, 2), (2, 2)) ** 2))(
      image
    )
    chex.assert_trees_all_close(by_ours, by_linen)

  def test_dropout_acts_in_training_only(self):
    image = random_image(2, 16, 16, 3)

    model = unet.UNet(
      levels=3, first_width=4, norm='none', dropout=0.5, dropout_levels=(1, 2)
    )
    variables = variables_of(model)

    @functools.partial(jax.jit, static_argnums=1)
    def logits(key, train):
      rngs = {'dropout': jax.random.key(key)}
      return model.apply(variables, image, train=train, rngs=rngs)

    different = jnp.abs(logits(1, True) - logits(2, True)).max()
    self.assertGreater(float(different), 1e-4)
    chex.assert_trees_all_equal(logits(1, True), logits(1, True))
    chex.assert_trees_all_equal(logits(1, False), logits(2, False))

  def test_bfloat16_computes_close_to_float32(self):
    image = random_image(2, 16, 16, 3)
    model = unet.UNet(levels=3, first_width=8)
    variables = variables_of(model)
    short = unet.UNet(levels=3, first_width=8, dtype=jnp.bfloat16)
    exact, rounded = (
      jax.jit(lambda x, m=m: m.apply(variables, x, train=False))(image)
      for m in (model, short)
    )
    self.assertEqual(rounded.dtype, jnp.float32)
    self.assertGreater(float(jnp.abs(exact - rounded).max()), 0)
    chex.assert_trees_all_close(rounded, exact, atol=0.05)
