"""The training and the validation step: pure, for one device of several.

Batches are dicts: image uint8 [b, h, w, C], mask uint8 [b, h, w], weight
float32 [b] (1: real, 0: padding), with b = batch / devices.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from carvana_jax.metrics import overlap
from carvana_jax.models.norm import BatchNorm
from carvana_jax.parallel.devices import AXIS
from carvana_jax.training import augment, losses
from carvana_jax.training.train_state import TrainState

# What the values of fields must be, see `check_config`.
RANGES = {
  'train.accumulate': ('at least 1', lambda x: x >= 1),
  'train.average_decay': ('in 0..1, without 1', lambda x: 0 <= x < 1),
  'eval.smooth': ('at least 0', lambda x: x >= 0),
  'eval.threshold': ('between 0 and 1', lambda x: 0 < x < 1),
}


def unit(pixels: jax.Array) -> jax.Array:
  """Converts uint8 0..255 to float32 0..1."""
  return pixels.astype(jnp.float32) / 255


def make_train_step(
  model: nn.Module, optimizer: optax.GradientTransformation, config: ConfigDict
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Makes a training step, to run by `devices.train_step`.

  A step whose loss or gradient is not finite changes nothing but the number
  of steps; its metric `skipped` is 1, that of all others 0.

  Args:
    model: a Linen network.
    optimizer: the optax transformation that the state was created with.
    config: as in configs/default.py.

  Returns:
    A function `(state, batch) -> (state, metrics)`. The metrics are means over
    the images on all devices, except `images`, their number, `skipped` and
    `gradient_norm`. Dice and its like are taken at the threshold 0.5.
  """
  measure = _make_measure(model, config)

  def step(state, batch):
    keys, dropout_key = _random_keys(state, batch['weight'].size)
    image, mask = unit(batch['image']), unit(batch['mask'])
    weight = batch['weight']
    image, mask = augment.augment(keys, image, mask, config.augment)
    count = jax.lax.psum(weight.sum(), AXIS)  # real examples on all devices
    batch_stats, (value, sums, gradient) = _accumulated(
      lambda stats, key, part: measure(state, stats, key, part, count),
      state.batch_stats,
      dropout_key,
      (image, mask, weight),
      config.train.accumulate,
    )
    value, gradient = jax.lax.psum((value, gradient), AXIS)
    new_state = _updated(
      state, optimizer, gradient, batch_stats, config.train.average_decay
    )
    norm = optax.global_norm(gradient)
    finite = jnp.isfinite(value) & jnp.isfinite(norm)
    metrics = {
      name: jax.lax.psum(total, AXIS) / count for name, total in sums.items()
    }
    metrics |= {
      'loss': value,
      'gradient_norm': norm,
      'images': count,
      'skipped': 1 - finite.astype(jnp.float32),
    }
    unchanged = state.replace(step=new_state.step)
    new_state = _chosen(finite, new_state, unchanged)
    return new_state, metrics

  return step


def _random_keys(state, images):
  """Returns keys [images] for a device's augmentation, and one for dropout."""
  key = jax.random.wrap_key_data(state.key)
  key = jax.random.fold_in(key, state.step)
  augment_key, dropout_key = jax.random.split(key)
  # An example is augmented in the same way on any number of devices.
  device = jax.lax.axis_index(AXIS)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(
    augment_key, device * images + jnp.arange(images)
  )
  return keys, jax.random.fold_in(dropout_key, device)


def _updated(state, optimizer, gradient, batch_stats, decay):
  """Returns the state after a step, with its average where there is one."""
  change, opt_state = optimizer.update(gradient, state.opt_state, state.params)
  new_state = state.replace(
    step=state.step + 1,
    params=optax.apply_updates(state.params, change),
    batch_stats=batch_stats,
    opt_state=opt_state,
  )
  if decay:
    new_state = new_state.replace(
      average=_averaged(state.average, new_state, decay)
    )
  return new_state


def _make_measure(model, config):
  """Makes the function that measures a micro-batch, see `_accumulated`."""
  loss_function = losses.by_name(config.train.loss)

  def measure(state, batch_stats, key, part, count):
    image, mask, weight = part
    state = state.replace(batch_stats=batch_stats)

    def loss(params):
      with nn.intercept_methods(_keep_frozen(state.frozen)):
        logits, updates = model.apply(
          state.replace(params=params).variables,
          image,
          train=True,
          weight=weight,
          rngs={'dropout': key},
          mutable=['batch_stats'],
        )
      values = loss_function(logits, mask)  # [b]
      # Divided by the count of all devices and micro-batches, so that their
      # sum is the mean.
      return jnp.sum(values * weight) / count, (logits, updates)

    (value, (logits, updates)), gradient = jax.value_and_grad(
      loss, has_aux=True
    )(state.params)
    scores = overlap.scores(logits, mask, smooth=config.eval.smooth)
    sums = {name: jnp.sum(values * weight) for name, values in scores.items()}
    statistics = updates.get('batch_stats', {})
    moved = {layer: statistics[layer] for layer in batch_stats}
    return moved, (value, sums, gradient)

  return measure


def _keep_frozen(frozen):
  """Makes frozen layers normalise by their statistics, as when evaluated."""
  layers = frozen.get('batch_stats', {})

  def call(method, args, kwargs, context):
    module = context.module
    if isinstance(module, BatchNorm) and module.scope.path[0] in layers:
      kwargs = {**kwargs, 'frozen': True}
    return method(*args, **kwargs)

  return call


def _accumulated(measure, batch_stats, key, batch, count):
  """Measures a device's batch, in one go or in micro-batches.

  Args:
    measure: a function `(batch_stats, key, part) -> (batch_stats, values)`.
    batch_stats: the statistics before the batch.
    key: the random key of the batch.
    batch: image, mask and weight, arrays [b, ...].
    count: how many micro-batches, a divisor of b.

  Returns:
    The statistics after the batch, and the sum of the values.
  """
  if count == 1:
    return measure(batch_stats, key, batch)
  # Every count-th example, so that the padding at the end of a batch is spread
  # over the micro-batches.
  split = lambda x: x.reshape(-1, count, *x.shape[1:]).swapaxes(0, 1)
  keys, parts = jax.random.split(key, count), jax.tree.map(split, batch)
  first = jax.tree.map(lambda x: x[0], (keys, parts))
  _, shapes = jax.eval_shape(measure, batch_stats, *first)
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

  def add(carry, part):
    stats, totals = carry
    new_stats, values = measure(stats, *part)
    # The last micro-batches may be nothing but padding, without statistics.
    seen = jax.lax.psum(part[1][2].sum(), AXIS) > 0
    keep = lambda new, old: jnp.where(seen, new, old)
    return (
      jax.tree.map(keep, new_stats, stats),
      jax.tree.map(jnp.add, totals, values),
    ), None

  return jax.lax.scan(add, (batch_stats, zeros), (keys, parts))[0]


def _chosen(first, one, other):
  """Returns the first of two trees, or the second one."""
  if jax.default_backend() == 'cpu':
    # A select would be fused into the update, which rounds otherwise.
    return jax.lax.cond(first, lambda: one, lambda: other)
  # A GPU's host would wait for the condition, and launch no kernel meanwhile.
  return jax.tree.map(functools.partial(jnp.where, first), one, other)


def _averaged(average, state, decay):
  """Updates the moving average with a new state.

  The window grows with the number of steps until `decay` holds, so that the
  random values of the start are soon forgotten.
  """
  step = state.step.astype(jnp.float32)
  decay = jnp.minimum(decay, (1 + step) / (10 + step))
  return optax.incremental_update(state.trained, average, 1 - decay)


def make_validation_step(
  model: nn.Module, config: ConfigDict
) -> Callable[..., dict[str, jax.Array]]:
  """Makes a step that scores a batch at the network's size.

  Args:
    model: a Linen network.
    config: as in configs/default.py.

  Returns:
    A function `(variables, batch) -> scores`, [b] each: those of
    `overlap.scores`, and `loss`.
  """
  loss_function = losses.by_name(config.train.loss)

  def step(variables, batch):
    target = unit(batch['mask'])
    logits = model.apply(variables, unit(batch['image']), train=False)
    return {
      'loss': loss_function(logits, target),
      **overlap.scores(
        logits, target, config.eval.threshold, config.eval.smooth
      ),
    }

  return step


def make_probability_step(model: nn.Module) -> Callable[..., jax.Array]:
  """Makes a step that predicts a batch at the network's size.

  Args:
    model: a Linen network.

  Returns:
    A function `(variables, batch) -> probabilities`, float32 [b, h, w].
  """

  def step(variables, batch):
    image = unit(batch['image'])
    return jax.nn.sigmoid(model.apply(variables, image, train=False))

  return step
