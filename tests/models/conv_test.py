"""Folded convolutions against the plain one, and what accelerators see."""

import time
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from flax import linen as nn

from carvana_jax.models import conv

# [H, W, inputs, outputs, kernel]; folded by 4, 2 and not at all; the last two
# with gradients by products of matrices.
CASES = (
  (4, 8, 3, 8, 3),
  (5, 12, 8, 2, 3),
  (4, 8, 16, 8, 2),
  (4, 8, 16, 8, 3),
  (4, 6, 8, 8, 3),
  (4, 7, 8, 8, 3),
  (6, 8, 8, 4, 5),
  (12, 12, 6, 16, 10),
  (4, 8, 2, 1, 1),
  (4, 8, 40, 8, 3),
  (128, 130, 64, 65, 2),
  (129, 128, 65, 64, 3),
)


def plain(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


class SameTest(chex.TestCase):
  @parameterized.parameters(*CASES)
  def test_values_and_gradients_are_those_of_lax(
    self, height, width, inputs, outputs, size
  ):
    with jax.enable_x64(True):
      rng = np.random.default_rng(0)
      x = rng.normal(size=(2, height, width, inputs))
      kernel = rng.normal(size=(size, size, inputs, outputs))
      change = rng.normal(size=(2, height, width, outputs))
      results = []
      for function in (conv.same, plain):
        y, back = jax.vjp(function, x, kernel)
        results.append((y, *back(change)))
      chex.assert_trees_all_close(*results, rtol=0, atol=1e-10)

  @parameterized.parameters((3, 8, 4), (16, 8, 2), (16, 32, 1), (8, 40, 1))
  def test_pixels_of_a_row_become_channels(self, inputs, outputs, count):
    x = jax.ShapeDtypeStruct((1, 4, 8, inputs), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, inputs, outputs), jnp.float32)
    text = jax.jit(conv.same).lower(x, kernel).as_text()
    self.assertIn(f'(tensor<1x4x{8 // count}x{count * inputs}xf32>', text)

  def test_gradients_in_a_loop_take_no_longer(self):
    """XLA's plain loops over images took a hundred times as long."""
    xs = jnp.ones((2, 2, 32, 48, 64))
    kernel = jnp.ones((3, 3, 64, 64))

    def gradient(x):
      return jax.grad(lambda kernel: conv.same(x, kernel).sum())(kernel)

    def in_loop(xs):
      add = lambda total, x: (total + gradient(x), None)
      return jax.lax.scan(add, jnp.zeros_like(kernel), xs)[0]

    def seconds(function, *args):
      function = jax.jit(function)
      jax.block_until_ready(function(*args))
      rounds = []
      for _ in range(3):
        started = time.process_time()
        jax.block_until_ready(function(*args))
        rounds.append(time.process_time() - started)
      return min(rounds)

    self.assertLess(seconds(in_loop, xs), 10 * 2 * seconds(gradient, xs[0]))


class DoubledTest(chex.TestCase):
  @parameterized.parameters((4, 6, 5, 7, 3), (3, 5, 4, 1, 2), (1, 1, 2, 3, 3))
  def test_values_and_gradients_are_those_of_lax(
    self, height, width, inputs, outputs, size
  ):
    def linens(x, kernel):
      return jax.lax.conv_transpose(x, kernel, (2, 2), 'SAME')

    with jax.enable_x64(True):
      rng = np.random.default_rng(0)
      x = rng.normal(size=(2, height, width, inputs))
      kernel = rng.normal(size=(size, size, inputs, outputs))
      change = rng.normal(size=(2, 2 * height, 2 * width, outputs))
      results = []
      for function in (conv.doubled, linens):
        y, back = jax.vjp(function, x, kernel)
        results.append((y, *back(change)))
      chex.assert_trees_all_close(*results, rtol=0, atol=1e-11)

  @parameterized.parameters(
    (conv.doubled, (3, 3, 5, 7)), (conv.same, (3, 3, 5, 7))
  )
  def test_bfloat16_is_rounded_double(self, function, shape):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(1, 4, 6, 5)), rng.normal(size=shape)

    def results(dtype):
      y, back = jax.vjp(
        function, jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)
      )
      return y, *back(jnp.ones_like(y))

    with jax.enable_x64(True):
      exact = results(jnp.float64)
    rounded = results(jnp.bfloat16)
    for ours, true in zip(rounded, exact, strict=True):
      self.assertEqual(ours.dtype, jnp.bfloat16)
      error = np.abs(np.asarray(ours, np.float64) - np.asarray(true))
      self.assertLess(error.max(), 0.02 * np.abs(true).max())


class TransposedTest(chex.TestCase):
  @parameterized.product(stride=(1, 2), use_bias=(False, True))
  def test_accelerators_see_linens_layer_with_the_same_parameters(
    self, stride, use_bias
  ):
    x = np.random.default_rng(0).normal(size=(2, 4, 8, 3)).astype(np.float32)
    build = lambda: conv.transposed(
      5, 3, stride, jnp.float32, 'up', use_bias=use_bias
    )
    ours = build()
    with mock.patch('jax.default_backend', lambda: 'gpu'):
      linens = build()
    self.assertIs(type(linens), nn.ConvTranspose)
    self.assertEqual(stride == 1, type(ours) is nn.ConvTranspose)
    variables = ours.init(jax.random.key(0), x)
    chex.assert_trees_all_equal(variables, linens.init(jax.random.key(0), x))
    self.assertEqual('bias' in variables['params'], use_bias)
    moved = jax.tree.map(lambda leaf: leaf + 0.5, variables)
    y = ours.apply(moved, x)
    chex.assert_shape(y, (2, 4 * stride, 8 * stride, 5))
    chex.assert_trees_all_close(y, linens.apply(moved, x), atol=1e-5)


class LayerTest(chex.TestCase):
  def test_parameters_are_linens_and_accelerators_see_its_convolution(self):
    x = np.random.default_rng(0).normal(size=(2, 4, 8, 3)).astype(np.float32)
    ours = conv.layer(8, 3, jnp.float32, 'conv')
    with mock.patch('jax.default_backend', lambda: 'gpu'):
      linens = conv.layer(8, 3, jnp.float32, 'conv')
    self.assertIsNone(linens.conv_general_dilated)
    variables = ours.init(jax.random.key(0), x)
    chex.assert_trees_all_equal(variables, linens.init(jax.random.key(0), x))
    chex.assert_trees_all_close(
      ours.apply(variables, x), linens.apply(variables, x), atol=1e-5
    )

  def test_traced_for_another_platform(self):
    def forms():
      layer = conv.layer(8, 3, jnp.float32, 'conv')
      up = conv.transposed(8, 3, 2, jnp.float32, 'up')
      return layer.conv_general_dilated is None, type(up) is nn.ConvTranspose

    with self.assertRaises(KeyError), conv.traced_for('gpu'):
      self.assertEqual(forms(), (True, True))
      with conv.traced_for('cpu'):
        self.assertEqual(forms(), (False, False))
      self.assertEqual(forms(), (True, True))
      raise KeyError
    self.assertEqual(forms(), (False, False))
