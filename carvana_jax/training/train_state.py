"""What training changes, and the optimizer that changes it."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from carvana_jax import models
from carvana_jax.system.errors import UserError


@flax.struct.dataclass
class TrainState:
  """All that a run needs to go on exactly where it stopped."""

  step: jax.Array  # int32, steps done
  key: jax.Array  # uint32 [2], the run's random key as plain numbers
  params: Any  # those that training changes
  batch_stats: Any  # {} for networks without batch normalisation
  opt_state: Any
  average: Any  # moving average of params and batch_stats, {} where it is off
  # Variables that training leaves alone, by collection: the parameters of a
  # pretrained encoder, the scale of the input. {} for most networks.
  frozen: Any

  @property
  def trained(self) -> dict[str, Any]:
    """What training changes."""
    return {'params': self.params, 'batch_stats': self.batch_stats}

  @property
  def variables(self) -> dict[str, Any]:
    """All variables of the network, as trained."""
    return _join(self.trained, self.frozen)

  @property
  def best_variables(self) -> dict[str, Any]:
    """The variables to evaluate: the average where there is one."""
    return _join(self.average or self.trained, self.frozen)


def _join(trained, frozen):
  """Two trees {collection: {layer: ...}} in one."""
  return {
    name: {**trained.get(name, {}), **frozen.get(name, {})}
    for name in trained | frozen
  }


def create(model, optimizer, image_shape, seed: int, averaged: bool):
  """A new state.

  Args:
    model: a Linen network.
    optimizer: an optax transformation.
    image_shape: (height, width, channels) of its input.
    seed: of everything random in the run.
    averaged: whether a moving average of what training changes is kept.
  """
  init_key, key = jax.random.split(jax.random.key(seed))
  variables = model.init(init_key, jnp.zeros((1, *image_shape)), train=False)
  frozen = {
    name: tree
    for name, tree in variables.items()
    if name not in ('params', 'batch_stats')
  }
  params = dict(variables['params'])
  if layers := models.frozen_layers(model):
    frozen['params'] = {layer: params.pop(layer) for layer in layers}
  state = TrainState(
    step=jnp.int32(0),  # strongly typed: a weak type compiles twice
    key=jax.random.key_data(key),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=optimizer.init(params),
    average={},
    frozen=frozen,
  )
  if averaged:
    # Copies, as the step donates both and a buffer can be donated once only.
    state = state.replace(average=jax.tree.map(jnp.copy, state.trained))
  return state


def schedule(config, total_steps: int) -> optax.Schedule:
  """The learning rate as a function of the step, from `config.optimizer`."""
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


def make_optimizer(config, total_steps: int) -> optax.GradientTransformation:
  """The optax chain of `config.optimizer`."""
  rate = schedule(config, total_steps)
  match config.name:
    case 'adam':
      update = optax.adam(rate)
    case 'adamw':
      update = optax.adamw(rate, weight_decay=config.weight_decay)
    case 'muon':  # Jordan et al. 2024
      # Scaled as by Liu et al. 2025, so that Adam's rates and decays fit.
      update = optax.contrib.muon(
        rate,
        weight_decay=config.weight_decay,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=_matrices,
      )
    case 'sgd':
      update = optax.sgd(rate, momentum=0.9, nesterov=True)
    case _:
      raise UserError(
        f'config.optimizer.name={config.name!r} is unknown; '
        'choose from adam, adamw, muon, sgd.'
      )
  if config.clip_norm > 0:
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), update)
  return update


def _matrices(params):
  """What Muon makes orthogonal: kernels [h, w, I, O] as [h * w * I, O]."""
  kernel = optax.contrib.MuonDimensionNumbers((0, 1, 2), 3)
  return jax.tree.map(lambda x: kernel if jnp.ndim(x) == 4 else None, params)
