"""VGG19-encoder U-Net: sizes, dropout, what training leaves alone."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax.models import vgg_unet


def shapes_of(model):
  image = jnp.zeros((1, 16, 16, 3))
  return jax.eval_shape(
    lambda: model.init(jax.random.key(0), image, train=False)
  )


class VGGUNetTest(chex.TestCase):
  @parameterized.parameters((16, 16), (32, 48), (17, 23), (1, 1))
  def test_output_has_the_size_of_the_input(self, *size):
    for dtype in (jnp.float32, jnp.bfloat16):
      model = vgg_unet.VGGUNet(dtype=dtype)
      image = jnp.zeros((2, *size, 3))
      logits, _ = jax.eval_shape(
        lambda model=model, image=image: model.init_with_output(
          jax.random.key(0), image, train=False
        )
      )
      chex.assert_shape(logits, (2, *size))
      self.assertEqual(logits.dtype, jnp.float32)

  def test_counts(self):
    variables = shapes_of(vgg_unet.VGGUNet())
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
    params = dict(variables['params'])
    # VGG19 without top has 20,024,384, of which block5_conv2 to 4 are unused.
    unused = 3 * (9 * 512 * 512 + 512)
    self.assertEqual(count(params.pop('encoder')), 20_024_384 - unused)
    # (in, out) of the transposed convolutions, whose input is wider after each
    # joined tap: 512 + 512, 256 + 256, 128 + 128.
    kernels = sum(
      9 * a * b
      for a, b in (
        (512, 512),
        (512, 512),
        (1024, 256),
        (256, 256),
        (512, 128),
        (128, 128),
        (256, 1),
      )
    )
    channels = 2 * (512 + 256 + 128)
    self.assertEqual(count(params), kernels + 2 * channels + 1)
    self.assertEqual(count(variables['batch_stats']), 2 * channels)

  @parameterized.parameters(
    ('', ('encoder',)), ('vgg19.h5', ('encoder',)), ('random', ())
  )
  def test_frozen(self, encoder_weights, expected):
    model = vgg_unet.VGGUNet(encoder_weights=encoder_weights)
    self.assertEqual(model.frozen, expected)

  def test_dropout_acts_in_training_only(self):
    model = vgg_unet.VGGUNet(dropout=0.5)
    # Initializers would take twenty seconds to compile.
    rng = np.random.default_rng(0)
    draw = lambda leaf: abs(rng.normal(0, 0.02, leaf.shape)).astype(np.float32)
    variables = jax.tree.map(draw, shapes_of(model))
    image = rng.uniform(size=(1, 16, 16, 3)).astype(np.float32)

    @functools.partial(jax.jit, static_argnums=2)
    def logits(variables, key, train):
      def apply(image):
        rngs = {'dropout': jax.random.key(key)}
        mutable = ['batch_stats']
        return model.apply(
          variables, image, train=train, rngs=rngs, mutable=mutable
        )[0]

      return jax.vmap(apply, axis_name='batch')(image[None])

    of = functools.partial(logits, variables)
    different = jnp.abs(of(1, True) - of(2, True)).max()
    self.assertGreater(float(different), 1e-4)
    chex.assert_trees_all_equal(of(1, True), of(1, True))
    chex.assert_trees_all_equal(of(1, False), of(2, False))
