"""Muon: as optax has it, with fewer products."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl.testing import parameterized

from carvana_jax.configs import fast, unet512, unet1024
from carvana_jax.models import registry
from carvana_jax.training import muon

# Upright and wide, in one block and in several, of one channel and of many.
SHAPES = (
  (3, 3, 3, 8),
  (3, 3, 8, 8),
  (3, 3, 24, 80),
  (3, 3, 80, 80),
  (3, 3, 160, 80),
  (1, 1, 16, 1),
  (1, 1, 4, 80),
  (2, 2, 1, 96),
)


def params():
  kernels = {
    f'layer{i}': {'kernel': normal(i, shape), 'bias': normal(i, shape[-1:])}
    for i, shape in enumerate(SHAPES)
  }
  return kernels | {'norm': {'scale': normal(99, (8,))}}


def normal(seed, shape):
  return jax.random.normal(jax.random.key(seed), shape)


def matrix(kernel):
  return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def optax_muon(rate, decay):
  """Optax's own, told that kernels [h, w, I, O] are [h * w * I, O]."""
  numbers = optax.contrib.MuonDimensionNumbers((0, 1, 2), 3)
  return optax.contrib.muon(
    rate,
    weight_decay=decay,
    consistent_rms=0.2,
    muon_weight_dimension_numbers=lambda tree: jax.tree.map(
      lambda x: numbers if x.ndim == 4 else None, tree
    ),
  )


def products(jaxpr):
  """How many products of matrices a program has, those in loops once."""
  count = 0
  for equation in jaxpr.eqns:
    count += equation.primitive.name == 'dot_general'
    count += sum(map(products, jax.core.jaxprs_in_params(equation.params)))
  return count


class MuonTest(chex.TestCase):
  def test_steps_and_state_are_those_of_optax(self):
    rate = optax.linear_schedule(0.1, 0.01, 3)
    ours, theirs = muon.muon(rate, 0.01, 1e-8), optax_muon(rate, 0.01)
    own = other = params()
    state, other_state = ours.init(own), theirs.init(other)
    chex.assert_trees_all_equal_structs(state, other_state)
    for step in range(3):
      gradient = jax.tree.map(lambda x, step=step: jnp.sin(x + step), own)
      update, state = jax.jit(ours.update)(gradient, state, own)
      other_update, other_state = jax.jit(theirs.update)(
        gradient, other_state, other
      )
      chex.assert_trees_all_close(update, other_update, atol=1e-6)
      own = optax.apply_updates(own, update)
      other = optax.apply_updates(other, other_update)
    chex.assert_trees_all_close(state, other_state, atol=1e-6)
    chex.assert_trees_all_equal_structs(state, other_state)

  def test_without_kernels_it_is_adam(self):
    vector = {'bias': jnp.arange(4.0)}
    ours, theirs = (
      muon.muon(0.1, 0.5, 1e-3),
      optax.nadamw(0.1, eps=1e-3, weight_decay=0.0),
    )
    update, _ = ours.update(vector, ours.init(vector), vector)
    expected, _ = theirs.update(vector, theirs.init(vector), vector)
    chex.assert_trees_all_close(update, expected, atol=1e-7)

  def test_singular_values_are_near_1_in_bfloat16_too(self):
    kernels = [normal(i, shape) for i, shape in enumerate(SHAPES)]
    for dtype in (jnp.float32, jnp.bfloat16):
      for kernel in muon.orthogonal(kernels, dtype):
        self.assertEqual(kernel.dtype, jnp.float32)
        values = np.linalg.svd(matrix(kernel), compute_uv=False)
        self.assertBetween(values.min(), 0.6, 1.25)
        self.assertBetween(values.max(), 0.6, 1.25)

  def test_directions_are_kept(self):
    """Singular vectors, so it is a polar decomposition and no other one."""
    kernel = normal(0, (3, 3, 3, 8))
    (found,) = muon.orthogonal([kernel], jnp.float32)
    left, _, right = np.linalg.svd(matrix(kernel), full_matrices=False)
    inner = left.T @ matrix(found) @ right.T
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-5)
    self.assertGreater(np.diag(inner).min(), 0)

  @parameterized.parameters(
    (fast, 285, 60), (unet512, 345, 75), (unet1024, 420, 60)
  )
  def test_kernels_of_a_network_share_few_products(self, config, before, after):
    model = registry.build(config.get_config().model)
    image = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(
      lambda: model.init(jax.random.key(0), image, train=False)['params']
    )
    count = {}
    ours, theirs = muon.muon(0.1, 0.0, 1e-8), optax_muon(0.1, 0.0)
    for name, optimizer in (('ours', ours), ('theirs', theirs)):
      state = jax.eval_shape(optimizer.init, shapes)
      program = jax.make_jaxpr(optimizer.update)(shapes, state, shapes)
      count[name] = products(program.jaxpr)
    # In a loop of five rounds, by optax too.
    self.assertEqual(5 * count['theirs'], before)
    self.assertEqual(5 * count['ours'], after)
