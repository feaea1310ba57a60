"""Losses from logits and soft masks, one value an image."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from carvana_jax.system.errors import UserError

_NEAR_WEIGHT = 3.0  # of pixels near the border; that of the others is 1
_ROUNDING = 2e-3  # by which resampling a mask may miss 0 and 1


def bce(logits: jax.Array, target: jax.Array, weight=1.0) -> jax.Array:
  """Computes the binary cross-entropy, the mean over the pixels.

  Args:
    logits: [B, H, W].
    target: [B, H, W], share of the pixel that is car, 0..1.
    weight: [B, H, W] of the pixels, 1 on average.

  Returns:
    [B], 0 or more.
  """
  values = optax.sigmoid_binary_cross_entropy(logits, target)
  return (weight * values).mean((1, 2))


def dice(logits: jax.Array, target: jax.Array, weight=1.0) -> jax.Array:
  """Computes 1 - soft Dice, smoothed by 1.

  As Milletari et al. 2016 (V-Net), but without squares.

  Args:
    logits: [B, H, W].
    target: [B, H, W], share of the pixel that is car, 0..1.
    weight: [B, H, W] of the pixels, 1 on average.

  Returns:
    [B], 0 (equal) to 1.
  """
  probability = jax.nn.sigmoid(logits)
  sums = lambda values: jnp.sum(weight * values, (1, 2))
  overlap, total = sums(probability * target), sums(probability) + sums(target)
  return 1 - (2 * overlap + 1) / (total + 1)


def bce_dice(logits: jax.Array, target: jax.Array) -> jax.Array:
  """Adds `bce` and `dice`: [B, H, W] twice -> [B]."""
  return bce(logits, target) + dice(logits, target)


def border_bce_dice(logits: jax.Array, target: jax.Array) -> jax.Array:
  """Adds `bce` and `dice` by `border_weight`: [B, H, W] twice -> [B]."""
  weight = border_weight(target)
  return bce(logits, target, weight) + dice(logits, target, weight)


def border_weight(target: jax.Array) -> jax.Array:
  """Weighs pixels near the border three times as much as the others.

  So did the challenge's winners. A pixel is near the border if the window
  around it holds both car and background; the window is 11x11 in images of up
  to 128 rows, 21x21 up to 512, else 41x41.

  Args:
    target: [B, H, W], share of the pixel that is car, 0..1.

  Returns:
    [B, H, W], 1 on average over an image.
  """
  height = target.shape[1]
  size = 11 if height <= 128 else 21 if height <= 512 else 41
  most, least = (_window(target, size, x) for x in (jnp.maximum, jnp.minimum))
  near = (most > _ROUNDING) & (least < 1 - _ROUNDING)
  weight = jnp.where(near, _NEAR_WEIGHT, 1.0)
  return weight / weight.mean((1, 2), keepdims=True)


def _window(values, size, combine):
  """Combines the size x size pixels around each: [B, H, W] -> [B, H, W].

  It does so by shifted copies that reach twice as far every time: XLA's own
  windows take longer on a CPU than the network does.
  """
  reach = size // 2
  for axis in (1, 2):
    padding = [(reach, reach) if i == axis else (0, 0) for i in range(3)]
    values = jnp.pad(values, padding, mode='edge')
    covered = 1  # pixels, by each value
    while covered < size:
      shift = min(covered, size - covered)
      count = values.shape[axis] - shift
      values = combine(
        jax.lax.slice_in_dim(values, 0, count, axis=axis),
        jax.lax.slice_in_dim(values, shift, None, axis=axis),
      )
      covered += shift
  return values


_LOSSES = {
  'bce': bce,
  'dice': dice,
  'bce_dice': bce_dice,
  'border_bce_dice': border_bce_dice,
}


def by_name(name: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """Returns the loss that `config.train.loss` names.

  Args:
    name: one of bce, dice, bce_dice and border_bce_dice.

  Returns:
    A function of logits and targets, [B, H, W] each, to [B].

  Raises:
    UserError: there is no loss of that name.
  """
  if name not in _LOSSES:
    raise UserError(
      f'config.train.loss={name!r} is unknown; '
      f'choose from {", ".join(_LOSSES)}.'
    )
  return _LOSSES[name]
