"""Learning-rate schedules and optimizers."""

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from carvana_jax.system.errors import UserError
from carvana_jax.training.muon import muon

_DECAYS = 0.9, 0.999  # of Adam's moments, as in optax and Keras

# What the values of fields must be, see `check_config`.
RANGES = {
  'optimizer.learning_rate': ('above 0', lambda x: x > 0),
  'optimizer.warmup': ('between 0 and 1', lambda x: 0 < x < 1),
  'optimizer.epsilon': ('above 0', lambda x: x > 0),
  'optimizer.weight_decay': ('at least 0', lambda x: x >= 0),
  'optimizer.clip_norm': ('at least 0', lambda x: x >= 0),
}


def schedule(config: ConfigDict, total_steps: int) -> optax.Schedule:
  """Returns the learning rate as a function of the step.

  Args:
    config: `config.optimizer`.
    total_steps: of the whole run.

  Raises:
    UserError: the schedule is unknown.
  """
  peak = config.learning_rate
  match config.schedule:
    case 'constant':
      return optax.constant_schedule(peak)
    case 'cosine':
      return optax.cosine_decay_schedule(peak, total_steps)
    case 'one_cycle':  # Smith & Topin 2017
      return optax.cosine_onecycle_schedule(total_steps, peak, config.warmup)
  raise UserError(
    f'config.optimizer.schedule={config.schedule!r} is unknown; '
    'choose from constant, cosine, one_cycle.'
  )


def make_optimizer(
  config: ConfigDict, total_steps: int
) -> optax.GradientTransformation:
  """Makes the optimizer of a run, which clips gradients if asked to.

  Args:
    config: `config.optimizer`.
    total_steps: of the whole run, which the schedule spreads over.

  Raises:
    UserError: the optimizer or its schedule is unknown.
  """
  rate = schedule(config, total_steps)
  match config.name:
    case 'adam':
      update = optax.adam(rate, eps=config.epsilon)
    case 'keras_adam':
      update = keras_adam(rate, config.epsilon)
    case 'adamw':
      update = optax.adamw(
        rate, eps=config.epsilon, weight_decay=config.weight_decay
      )
    case 'muon':  # Jordan et al. 2024
      update = muon(rate, config.weight_decay, config.epsilon)
    case 'sgd':
      update = optax.sgd(rate, momentum=0.9, nesterov=True)
    case _:
      raise UserError(
        f'config.optimizer.name={config.name!r} is unknown; '
        'choose from adam, keras_adam, adamw, muon, sgd.'
      )
  if config.clip_norm > 0:
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), update)
  return update


def keras_adam(
  learning_rate: optax.ScalarOrSchedule, epsilon: float
) -> optax.GradientTransformation:
  """Makes Adam as Keras has it, which differs in the first hundreds of steps.

  Kingma & Ba (2015) give two forms. In optax, epsilon is added to the corrected
  root of the second moment (their Algorithm 1); in Keras to the root before its
  correction ("epsilon hat", end of their section 2), so that it counts
  sqrt(1 / (1 - 0.999 ** step)) times as much: 32 times in the first step. The
  state is that of optax.adam.

  Args:
    learning_rate: a number or a function of the step.
    epsilon: Keras's `epsilon`; its default is 1e-7.
  """

  def update(gradients, state, params=None):
    del params
    first = optax.tree.update_moment(gradients, state.mu, _DECAYS[0], 1)
    second = optax.tree.update_moment(gradients, state.nu, _DECAYS[1], 2)
    count = optax.safe_increment(state.count)
    corrections = [1 - decay**count for decay in _DECAYS]
    factor = jnp.sqrt(corrections[1]) / corrections[0]
    updates = jax.tree.map(
      lambda m, v: factor * m / (jnp.sqrt(v) + epsilon), first, second
    )
    return updates, optax.ScaleByAdamState(count, first, second)

  return optax.chain(
    optax.GradientTransformation(optax.scale_by_adam().init, update),
    optax.scale_by_learning_rate(learning_rate),
  )
