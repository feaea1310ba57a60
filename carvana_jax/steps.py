"""The training and the evaluation step: pure, for one device of several.

Batches are dicts: image uint8 [b, h, w, 3], mask uint8 [b, H, W], weight
float32 [b] (1: real, 0: padding), with b = batch / devices.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from carvana_jax import augment, losses, metrics
from carvana_jax.parallel import AXIS


def unit(pixels: jax.Array) -> jax.Array:
  """uint8 0..255 -> float32 0..1."""
  return pixels.astype(jnp.float32) / 255


def make_train_step(
  model, optimizer, loss_name: str, augmentation, decay: float
):
  """The function `(state, batch) -> (state, metrics)`, to run under a pmap.

  Args:
    model: a Linen network.
    optimizer: the optax transformation that the state was created with.
    loss_name: see `losses.by_name`.
    augmentation: `config.augment`.
    decay: of the moving average of the variables, 0: none is kept.
  """
  loss_function = losses.by_name(loss_name)

  def step(state, batch):
    key = jax.random.fold_in(state.key, state.step)
    key = jax.random.fold_in(key, jax.lax.axis_index(AXIS))
    augment_key, dropout_key = jax.random.split(key)
    image, mask = unit(batch['image']), unit(batch['mask'])
    weight = batch['weight']
    image, mask = augment.augment(augment_key, image, mask, augmentation)
    count = jax.lax.psum(weight.sum(), AXIS)  # real examples on all devices

    def loss(params):
      logits, updates = model.apply(
        {'params': params, 'batch_stats': state.batch_stats},
        image,
        train=True,
        weight=weight,
        rngs={'dropout': dropout_key},
        mutable=['batch_stats'],
      )
      values = loss_function(logits, mask)  # [b]
      # Divided by the count of all devices, so that their sum is the mean.
      return jnp.sum(values * weight) / count, (logits, updates)

    (value, (logits, updates)), gradient = jax.value_and_grad(
      loss, has_aux=True
    )(state.params)
    value, gradient = jax.lax.psum((value, gradient), AXIS)
    change, opt_state = optimizer.update(
      gradient, state.opt_state, state.params
    )
    new_state = state.replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, change),
      batch_stats=updates.get('batch_stats', {}),
      opt_state=opt_state,
    )
    if decay:
      new_state = new_state.replace(
        average=_averaged(state.average, new_state, decay)
      )
    measured = {
      name: jax.lax.psum(jnp.sum(values * weight), AXIS) / count
      for name, values in metrics.scores(logits, mask).items()
    }
    measured |= {
      'loss': value,
      'gradient_norm': optax.global_norm(gradient),
      'images': count,
    }
    return new_state, measured

  return step


def _averaged(average, state, decay):
  """The moving average after the state's step.

  The window grows with the number of steps until `decay` holds, so that the
  random values of the start are soon forgotten.
  """
  step = state.step.astype(jnp.float32)
  decay = jnp.minimum(decay, (1 + step) / (10 + step))
  return optax.incremental_update(state.variables, average, 1 - decay)


def predict_logits(model, variables, image: jax.Array, size) -> jax.Array:
  """Logits enlarged to the size in which they are scored.

  Logits, not labels, are enlarged: between two pixels of the network the
  border runs where the interpolated (Keys' cubic) logit crosses the threshold.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: uint8 [b, h, w, 3] at the network's size.
    size: (H, W).

  Returns:
    float32 [b, H, W].
  """
  logits = model.apply(variables, unit(image), train=False)  # [b, h, w]
  if logits.shape[1:] == tuple(size):
    return logits
  return jax.image.resize(logits, (logits.shape[0], *size), 'cubic')


def make_eval_step(model, threshold: float, loss_name: str | None = None):
  """The function `(variables, batch) -> scores`, each [b], under a pmap.

  Masks may be larger than images; scores are taken at the masks' size. The
  loss is among them only if it is named: at full size it takes longer than
  all the rest.
  """

  def step(variables, batch):
    target = unit(batch['mask'])
    logits = predict_logits(model, variables, batch['image'], target.shape[1:])
    measured = metrics.scores(logits, target, threshold)
    if loss_name:
      measured['loss'] = losses.by_name(loss_name)(logits, target)
    return measured

  return step


def make_predict_step(model, size):
  """The function `(variables, image) -> probabilities` [b, H, W]."""
  logits = functools.partial(predict_logits, model, size=size)
  return lambda variables, image: jax.nn.sigmoid(logits(variables, image))
