"""U-Net: shapes, published parameter counts, gradients through every part."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from flax import linen as nn

from carvana_jax import losses
from carvana_jax.models import unet


def variables_of(model, size=(16, 16)):
  image = jnp.zeros((1, *size, 3))
  return model.init(jax.random.key(0), image, train=False)


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


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
    create = lambda: variables_of(model, size)
    variables = jax.eval_shape(create)
    image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    apply = lambda v, x: model.apply(v, x, train=False)
    logits = jax.eval_shape(apply, variables, image)
    chex.assert_shape(logits, (2, *size))
    self.assertEqual(logits.dtype, jnp.float32)

  @parameterized.named_parameters(
    # Slides on tiny U-Nets at 128 and 512: three and four poolings.
    ('tiny128', 4, 8, 2, 'none', 'nearest_conv', 2, 120_965, 0),
    ('tiny512', 5, 8, 2, 'none', 'nearest_conv', 2, 485_957, 0),
    # A README's BatchNorm U-Net: trainable parameters and statistics.
    ('bn128', 5, 64, 3, 'batch', 'nearest', 0, 34_527_041, 13_696),
  )
  def test_parameters_as_published(
    self, levels, width, decoder_convs, norm, upsampling, head, params, stats
  ):
    model = unet.UNet(
      levels=levels,
      first_width=width,
      decoder_convs=decoder_convs,
      norm=norm,
      upsampling=upsampling,
      head_width=head,
    )
    variables = jax.eval_shape(lambda: variables_of(model))
    self.assertEqual(count(variables['params']), params)
    self.assertEqual(count(variables.get('batch_stats', {})), stats)

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

    gradient = jax.grad(total)(variables['params'])
    convs = [name for name in gradient if name.startswith('Conv_')]
    joined = []
    for name in convs:
      kernel = gradient[name]['kernel']  # [3, 3, in, out]
      level_width = kernel.shape[-1]
      if kernel.shape[:2] == (3, 3) and kernel.shape[2] > level_width:
        skip = kernel[:, :, :level_width]  # concatenated as (skip, up)
        self.assertGreater(float(jnp.abs(skip).max()), 0, name)
        joined.append(level_width)
    self.assertEqual(joined, [width * 2**i for i in (2, 1, 0)])

  def test_all_parameters_get_gradient(self):
    model = unet.UNet(levels=3, first_width=4, norm='group', head_width=2)
    variables = variables_of(model)
    image = random_image(2, 16, 16, 3)
    loss = lambda params: jnp.sum(
      model.apply({'params': params}, image, train=True) ** 2
    )
    gradient = jax.grad(loss)(variables['params'])
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
      self.assertGreater(float(jnp.abs(leaf).max()), 0, str(path))

  @parameterized.parameters(*unet.UPSAMPLINGS)
  def test_gradient_agrees_with_finite_differences(self, upsampling):
    model = unet.UNet(
      levels=2, first_width=4, norm='group', upsampling=upsampling
    )
    params = variables_of(model)['params']
    image = random_image(2, 8, 8, 3)
    target = jnp.round(random_image(2, 8, 8))

    @jax.jit
    def loss(params):
      logits = model.apply({'params': params}, image, train=True)
      return losses.bce_dice(logits, target).mean()

    gradient = jax.grad(loss)(params)
    rng = np.random.default_rng(0)
    for _ in range(5):
      direction = jax.tree.map(
        lambda p: jnp.asarray(rng.choice([-1.0, 1.0], p.shape)), params
      )
      along = sum(
        jnp.vdot(g, d)
        for g, d in zip(
          jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True
        )
      )
      step = 1e-3
      moved = lambda sign, d=direction: jax.tree.map(
        lambda p, q: p + sign * step * q, params, d
      )
      measured = (loss(moved(1)) - loss(moved(-1))) / (2 * step)
      self.assertAlmostEqual(
        float(measured), float(along), delta=0.02 * abs(float(along)) + 2e-3
      )

  def test_max_pool_is_linens(self):
    image = jax.random.normal(jax.random.key(0), (2, 8, 6, 3))
    expected = nn.max_pool(image, (2, 2), (2, 2))
    chex.assert_trees_all_equal(unet.max_pool(image), expected)
    by_ours = jax.grad(lambda x: jnp.sum(unet.max_pool(x) ** 2))(image)
    by_linen = jax.grad(lambda x: jnp.sum(nn.max_pool(x, (2, 2), (2, 2)) ** 2))(
      image
    )
    chex.assert_trees_all_close(by_ours, by_linen)

  def test_dropout_acts_in_training_at_its_levels_only(self):
    image = random_image(2, 16, 16, 3)

    def outputs(levels, train):
      model = unet.UNet(
        levels=3, first_width=4, dropout=0.5, dropout_levels=levels
      )
      variables = variables_of(model)
      return [
        model.apply(
          variables, image, train=train, rngs={'dropout': jax.random.key(key)},
          mutable=['batch_stats'],
        )[0]
        for key in (1, 2)
      ]  # fmt: skip

    with jax.named_scope('one device'):
      first, second = jax.vmap(
        lambda _: tuple(outputs((1, 2), True)), axis_name='batch'
      )(jnp.zeros(1))
    self.assertGreater(float(jnp.abs(first - second).max()), 1e-3)
    first, second = outputs((1, 2), False)
    chex.assert_trees_all_equal(first, second)

  def test_bfloat16_computes_close_to_float32(self):
    image = random_image(2, 16, 16, 3)
    model = unet.UNet(levels=3, first_width=8)
    variables = variables_of(model)
    exact = model.apply(variables, image, train=False)
    short = unet.UNet(levels=3, first_width=8, dtype=jnp.bfloat16)
    rounded = short.apply(variables, image, train=False)
    self.assertEqual(rounded.dtype, jnp.float32)
    self.assertGreater(float(jnp.abs(exact - rounded).max()), 0)
    chex.assert_trees_all_close(rounded, exact, atol=0.05)
