"""The state of a run: what training changes, and what it needs to go on."""

from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import prepare


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
  # pretrained encoder, those and the statistics of the layers of
  # `config.train.freeze`, the scale of the input. {} for most networks.
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
  def eval_variables(self) -> dict[str, Any]:
    """The variables to evaluate: the average where there is one."""
    return _join(self.average or self.trained, self.frozen)


def creator(
  config: ConfigDict, model: nn.Module, optimizer: optax.GradientTransformation
) -> Callable[[], TrainState]:
  """Returns a function without arguments that makes a run's first state.

  Args:
    config: as in configs/default.py.
    model: the network of `config.model`.
    optimizer: that of `config.optimizer`.
  """
  shape = prepare.input_shape(config.data)
  averaged = config.train.average_decay > 0
  freeze = config.train.freeze
  return lambda: create(model, optimizer, shape, config.seed, averaged, freeze)


def create(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  image_shape: tuple[int, int, int],
  seed: int,
  averaged: bool,
  freeze: str = '',
) -> TrainState:
  """Creates a new state.

  Args:
    model: a Linen network.
    optimizer: an optax transformation.
    image_shape: (height, width, channels) of the network's input.
    seed: of everything random in the run.
    averaged: whether a moving average of what training changes is kept.
    freeze: `config.train.freeze`, the layers that stay as they start.

  Returns:
    The state before the first step. Its frozen variables are start values, see
    `frozen_variables.values`.

  Raises:
    UserError: there are no such layers to freeze.
  """
  init_key, key = jax.random.split(jax.random.key(seed))
  variables = model.init(init_key, jnp.zeros((1, *image_shape)), train=False)
  frozen = {
    name: tree
    for name, tree in variables.items()
    if name not in ('params', 'batch_stats')
  }
  params = dict(variables['params'])
  statistics = dict(variables.get('batch_stats', {}))
  layers = models.frozen_layers(model, params, freeze)
  for name, tree in (('params', params), ('batch_stats', statistics)):
    if own := {layer: tree.pop(layer) for layer in layers if layer in tree}:
      frozen[name] = own
  state = TrainState(
    step=jnp.int32(0),  # strongly typed: a weak type compiles twice
    key=jax.random.key_data(key),
    params=params,
    batch_stats=statistics,
    opt_state=optimizer.init(params),
    average={},
    frozen=frozen,
  )
  if averaged:
    # Copies, as the step donates both and a buffer can be donated once only.
    state = state.replace(average=jax.tree.map(jnp.copy, state.trained))
  return state


def _join(trained, frozen):
  """Merges two trees {collection: {layer: ...}}."""
  return {
    name: {**trained.get(name, {}), **frozen.get(name, {})}
    for name in trained | frozen
  }
