"""The training and the evaluation step: pure, for one device of several.

Batches are dicts: image uint8 [b, h, w, C], mask uint8 [b, h, w], weight
float32 [b] (1: real, 0: padding), with b = batch / devices. Photos that were
cut to the car come with their `box` int32 [b, 4] in the full-size photo: top,
left, bottom, right, the latter two exclusive.
"""

import jax
import jax.numpy as jnp
import optax

from carvana_jax import augment, losses, metrics, thresholds
from carvana_jax.parallel import AXIS


def unit(pixels: jax.Array) -> jax.Array:
  """uint8 0..255 -> float32 0..1."""
  return pixels.astype(jnp.float32) / 255


def make_train_step(model, optimizer, config):
  """The function `(state, batch) -> (state, metrics)`, to run under a pmap.

  Args:
    model: a Linen network.
    optimizer: the optax transformation that the state was created with.
    config: as in configs/default.py.
  """
  loss_function = losses.by_name(config.train.loss)

  def step(state, batch):
    key = jax.random.fold_in(state.key, state.step)
    key = jax.random.fold_in(key, jax.lax.axis_index(AXIS))
    augment_key, dropout_key = jax.random.split(key)
    image, mask = unit(batch['image']), unit(batch['mask'])
    weight = batch['weight']
    image, mask = augment.augment(augment_key, image, mask, config.augment)
    count = jax.lax.psum(weight.sum(), AXIS)  # real examples on all devices

    def loss(params):
      logits, updates = model.apply(
        state.replace(params=params).variables,
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
    if decay := config.train.average_decay:
      new_state = new_state.replace(
        average=_averaged(state.average, new_state, decay)
      )
    scores = metrics.scores(logits, mask, smooth=config.eval.smooth)
    measured = {
      name: jax.lax.psum(jnp.sum(values * weight), AXIS) / count
      for name, values in scores.items()
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
  return optax.incremental_update(state.trained, average, 1 - decay)


def predict_logits(
  model, variables, batch, size, flip: bool = False
) -> jax.Array:
  """Logits enlarged to the size in which they are scored.

  Logits, not labels, are enlarged: between two pixels of the network the
  border runs where the interpolated logit crosses the threshold.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    batch: image at the network's size; box, where it was cut out.
    size: (H, W) of the whole photo.
    flip: whether to average the logits with those of the mirrored image.

  Returns:
    float32 [b, H, W], -inf outside a box.
  """
  image = unit(batch['image'])
  logits = model.apply(variables, image, train=False)
  if flip:
    mirrored = model.apply(variables, image[:, :, ::-1], train=False)
    logits = (logits + mirrored[:, :, ::-1]) / 2
  return enlarge(logits, size, batch.get('box'))


def enlarge(logits: jax.Array, size, boxes=None) -> jax.Array:
  """Enlarges logits to the photo that they are a mask of, by Keys' cubic.

  Args:
    logits: [b, h, w].
    size: (H, W) of the whole photo.
    boxes: int32 [b, 4], where logits belong in it; None: everywhere.

  Returns:
    [b, H, W], -inf outside the boxes.
  """
  if boxes is not None:
    return jax.vmap(lambda x, box: _paste(x, box, size))(logits, boxes)
  if logits.shape[1:] == tuple(size):
    return logits
  return jax.image.resize(logits, (logits.shape[0], *size), 'cubic')


def _paste(logits, box, size):
  """Enlarges [h, w] to its box [4] in a photo of `size` (H, W)."""
  start, end = box[:2], box[2:]
  full = jax.image.scale_and_translate(
    logits, size, (0, 1), (end - start) / jnp.array(logits.shape), start,
    'cubic',
  )  # fmt: skip
  rows, columns = (
    (jnp.arange(length) >= start[axis]) & (jnp.arange(length) < end[axis])
    for axis, length in enumerate(size)
  )
  return jnp.where(rows[:, None] & columns, full, -jnp.inf)


def make_validation_step(model, config):
  """The function `(variables, batch) -> scores` [b] at the network's size.

  The scores are those of `metrics.scores`, and the loss.
  """
  loss_function = losses.by_name(config.train.loss)

  def step(variables, batch):
    target = unit(batch['mask'])
    logits = model.apply(variables, unit(batch['image']), train=False)
    return {
      'loss': loss_function(logits, target),
      **metrics.scores(
        logits, target, config.eval.threshold, config.eval.smooth
      ),
    }

  return step


def make_probability_step(model):
  """The function `(variables, batch) -> probabilities` [b, h, w]."""

  def step(variables, batch):
    image = unit(batch['image'])
    return jax.nn.sigmoid(model.apply(variables, image, train=False))

  return step


def make_level_step(model, size, flip: bool):
  """The function `(variables, batch) -> probabilities` uint8 [b, H, W].

  Level k is a probability from k / 256 to (k + 1) / 256, so that thresholds,
  one half among them, are exact.

  Args:
    model: a Linen network.
    size: (H, W) of the masks.
    flip: see `predict_logits`.
  """

  def step(variables, batch):
    logits = predict_logits(model, variables, batch, size, flip)
    levels = jnp.floor(jax.nn.sigmoid(logits) * thresholds.LEVELS)
    return jnp.minimum(levels, thresholds.LEVELS - 1).astype(jnp.uint8)

  return step
