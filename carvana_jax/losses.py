"""Losses of one image each, from logits and soft masks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from carvana_jax.errors import UserError


def bce(logits: jax.Array, target: jax.Array) -> jax.Array:
  """Binary cross-entropy, mean over pixels: [B, H, W] twice -> [B]."""
  return optax.sigmoid_binary_cross_entropy(logits, target).mean((1, 2))


def dice(logits: jax.Array, target: jax.Array) -> jax.Array:
  """1 - soft Dice (Milletari et al. 2016, without squares), smooth = 1.

  Args:
    logits: [B, H, W].
    target: [B, H, W], share of the pixel that is car, 0..1.

  Returns:
    [B], 0 (equal) to 1.
  """
  probability = jax.nn.sigmoid(logits)
  overlap = jnp.sum(probability * target, (1, 2))
  total = jnp.sum(probability, (1, 2)) + jnp.sum(target, (1, 2))
  return 1 - (2 * overlap + 1) / (total + 1)


def bce_dice(logits: jax.Array, target: jax.Array) -> jax.Array:
  """`bce` + `dice`: [B, H, W] twice -> [B]."""
  return bce(logits, target) + dice(logits, target)


_LOSSES = {'bce': bce, 'dice': dice, 'bce_dice': bce_dice}


def by_name(name: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """The loss that `config.train.loss` names, or a `UserError`."""
  if name not in _LOSSES:
    raise UserError(
      f'config.train.loss={name!r} is unknown; '
      f'choose from {", ".join(_LOSSES)}.'
    )
  return _LOSSES[name]
