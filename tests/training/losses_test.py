"""Losses: values by hand, gradients against finite differences."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from jax import test_util

from carvana_jax.system.errors import UserError
from carvana_jax.training import losses

NAMES = ('bce', 'dice', 'bce_dice', 'border_bce_dice')
FAR = 50.0  # a logit whose probability is 0 or 1 in float32


class LossesTest(chex.TestCase):
  def test_bce_by_hand(self):
    logits = jnp.array([[[0.0, math.log(3)]]])  # probabilities 1/2 and 3/4
    target = jnp.array([[[1.0, 0.0]]])
    expected = (math.log(2) + math.log(4)) / 2
    self.assertAlmostEqual(float(losses.bce(logits, target)[0]), expected, 6)

  def test_bce_of_a_soft_target_is_least_at_its_value(self):
    target = jnp.full((1, 1, 1), 0.25)
    at = lambda p: float(losses.bce(jnp.full((1, 1, 1), p), target)[0])
    best = math.log(0.25 / 0.75)
    self.assertLess(at(best), at(best + 0.1))
    self.assertLess(at(best), at(best - 0.1))

  def test_dice_by_hand(self):
    # Probabilities 1/2 and 3/4 against 1 and 0: 1 - (2 * 0.5 + 1) / (2.25 + 1)
    logits = jnp.array([[[0.0, math.log(3)]]])
    target = jnp.array([[[1.0, 0.0]]])
    self.assertAlmostEqual(
      float(losses.dice(logits, target)[0]), 1 - 2 / 3.25, 6
    )

  def test_dice_of_equal_and_of_opposite_masks(self):
    mask = jnp.array([[[1.0, 0.0], [1.0, 1.0]]])
    logits = jnp.where(mask > 0, FAR, -FAR)
    self.assertAlmostEqual(float(losses.dice(logits, mask)[0]), 0, 6)
    self.assertAlmostEqual(float(losses.dice(-logits, mask)[0]), 1 - 1 / 5, 6)
    empty = jnp.zeros((1, 2, 2))
    self.assertAlmostEqual(float(losses.dice(empty - FAR, empty)[0]), 0, 6)

  def test_sum(self):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    chex.assert_trees_all_close(
      losses.bce_dice(logits, target),
      losses.bce(logits, target) + losses.dice(logits, target),
    )

  def test_weight_by_hand(self):
    # Probabilities 1/2 and 3/4 against 1 and 0, weights 1/2 and 3/2:
    # overlap 1/4, sums 1/4 + 9/8 and 1/2.
    logits = jnp.array([[[0.0, math.log(3)]]])
    target, weight = jnp.array([[[1.0, 0.0]]]), jnp.array([[[0.5, 1.5]]])
    bce = losses.bce(logits, target, weight)
    dice = losses.dice(logits, target, weight)
    expected = (math.log(2) / 2 + math.log(4) * 3 / 2) / 2
    self.assertAlmostEqual(float(bce[0]), expected, 6)
    self.assertAlmostEqual(float(dice[0]), 1 - 1.5 / 2.875, 6)

  def test_border_weight_against_windows_one_by_one(self):
    rng = np.random.default_rng(0)
    target = np.zeros((3, 50, 70), np.float32)
    target[0, 20:35, 30:60] = rng.uniform(0.2, 1, (15, 30))
    target[1, :, :30] = 1
    weight = losses.border_weight(target)
    for mask, found in zip(target, np.asarray(weight), strict=True):
      expected = np.ones_like(mask)
      for y, x in np.ndindex(mask.shape):
        top, left = max(0, y - 5), max(0, x - 5)
        window = mask[top : y + 6, left : x + 6]
        expected[y, x] = 3 if window.any() and not (window == 1).all() else 1
      np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)
    self.assertAlmostEqual(float(weight[2].max()), 1)  # no car, no border

  @parameterized.parameters((128, 11), (129, 21), (512, 21), (1024, 41))
  def test_border_weight_by_height(self, height, window):
    target = jnp.zeros((1, height, 64)).at[:, :, 32:].set(1)
    row = losses.border_weight(target)[0, 0]
    self.assertEqual(int((row > 1).sum()), window - 1)

  def test_border_weight_is_used(self):
    target = jnp.zeros((1, 50, 70)).at[:, :, 30:].set(1)
    logits = jnp.asarray(np.random.default_rng(0).normal(size=target.shape))
    weight = losses.border_weight(target)
    expected = [f(logits, target, weight) for f in (losses.bce, losses.dice)]
    found = losses.border_bce_dice(logits, target)
    chex.assert_trees_all_close(found, sum(expected))
    self.assertNotAlmostEqual(
      float(found[0]), float(losses.bce_dice(logits, target)[0]), 3
    )

  @parameterized.parameters(*NAMES)
  def test_one_value_an_image_whatever_the_others(self, name):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    together = losses.by_name(name)(logits, target)
    chex.assert_shape(together, (3,))
    alone = [losses.by_name(name)(logits[i : i + 1], target[i : i + 1])[0]
             for i in range(3)]  # fmt: skip
    chex.assert_trees_all_close(together, jnp.stack(alone))

  @parameterized.parameters(*NAMES)
  def test_gradient_agrees_with_finite_differences(self, name):
    with jax.enable_x64(True):
      rng = np.random.default_rng(0)
      logits, target = rng.normal(size=(2, 4, 5)), rng.uniform(size=(2, 4, 5))
      loss = lambda logits: losses.by_name(name)(logits, target).sum()
      test_util.check_grads(loss, (logits,), order=1, modes=['rev'], rtol=1e-5)

  @parameterized.product(name=NAMES, logit=[-1e4, 1e4])
  def test_extreme_logits_stay_finite(self, name, logit):
    logits = jnp.full((1, 4, 4), logit)
    for target in (jnp.zeros((1, 4, 4)), jnp.ones((1, 4, 4))):
      loss = lambda x, t=target: losses.by_name(name)(x, t).sum()
      value, gradient = jax.value_and_grad(loss)(logits)
      chex.assert_tree_all_finite((value, gradient))

  def test_unknown_name(self):
    with self.assertRaisesRegex(UserError, "loss='dise' is unknown"):
      losses.by_name('dise')
