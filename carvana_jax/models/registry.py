"""Networks, built by name from a config."""

import dataclasses
import fnmatch
import types
import typing
from collections.abc import Iterable

import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.models import cnn, conv, unet, vgg_unet, vgg_weights
from carvana_jax.system.config_fields import check_kind
from carvana_jax.system.errors import UserError


class _Row(typing.NamedTuple):
  network: type[nn.Module]  # its fields are those of `config.model`
  # Numbers of input channels that it takes; (): any.
  input_channels: tuple[int, ...] = ()
  # Reads the file that `config.model.encoder_weights` names, see `vgg_weights`.
  weights: types.ModuleType | None = None


# By `config.model.name`.
_NETWORKS = {
  'unet': _Row(unet.UNet),
  'cnn': _Row(cnn.CNN),
  'vgg_unet': _Row(vgg_unet.VGGUNet, input_channels=(3,), weights=vgg_weights),
}
_CHOICES = {
  'name': tuple(_NETWORKS),
  'norm': unet.NORMS,
  'upsampling': unet.UPSAMPLINGS,
  'kernel_init': tuple(conv.INITIALIZERS),
  'dtype': ('float32', 'bfloat16'),
}
# The least and the largest value of a field; beyond the latter, a single layer
# would fill any machine's memory.
_RANGES = {
  'levels': (1, 12),
  'first_width': (1, 4096),
  'encoder_convs': (1, 64),
  'decoder_convs': (1, 64),
  'head_width': (0, 4096),
  'head_kernel': (1, 255),
  'patch': (1, 16),
  'norm_momentum': (0, 1),
  'norm_epsilon': (1e-12, 1),  # without any, constant channels have no quotient
}
_LARGEST_WIDTH, _LARGEST_KERNEL = 8192, 255


def build(model_config) -> nn.Module:
  """Builds a network.

  Args:
    model_config: `config.model`, that is `name` and the fields of the class
      that it stands for.

  Returns:
    A Linen network, whose parameters are yet to be made.

  Raises:
    UserError: a field is missing, is unknown, or has a value that it can't
      have.
  """
  fields = {
    # A config that was read from JSON holds lists.
    name: tuple(value) if isinstance(value, list) else value
    for name, value in model_config.items()
  }
  for field, choices in _CHOICES.items():
    if field in (*fields, 'name') and fields.get(field) not in choices:
      raise UserError(
        f'config.model.{field}={fields.get(field)!r} is unknown; '
        f'choose from {", ".join(choices)}.'
      )
  network = _NETWORKS[fields.pop('name')].network
  _check_fields(fields, network)
  fields['dtype'] = jnp.dtype(fields.get('dtype', 'float32'))
  model = network(**fields)
  for field, (least, most) in _RANGES.items():
    value = getattr(model, field, least)
    if not least <= value <= most:
      bound = f'at least {least}' if value < least else f'at most {most}'
      raise UserError(f'config.model.{field}={value} must be {bound}.')
  dropout = getattr(model, 'dropout', 0)
  if not 0 <= dropout < 1:
    raise UserError(
      f'config.model.dropout={dropout} must be in 0..1, without 1.'
    )
  if isinstance(model, unet.UNet):
    _check_levels(model)
  _check_widths(model)
  return model


def _check_fields(fields, network):
  """Compares the fields with those of a network's class."""
  known = {
    field.name: field
    for field in dataclasses.fields(network)
    if field.name not in ('name', 'parent', 'axis_name')
  }
  for name, field in known.items():
    if name not in fields and field.default is dataclasses.MISSING:
      raise UserError(
        f'config.model.{name} is missing; the configs of configs/ show which '
        'fields a network has.'
      )
  for name, value in fields.items():
    if name not in known:
      raise UserError(
        f'config.model.{name} is no field of this network; choose from '
        f'{", ".join(known)}.'
      )
    kind = typing.get_origin(known[name].type) or known[name].type
    if name != 'dtype':  # one of its choices
      check_kind(f'config.model.{name}', value, kind)


def _check_levels(model):
  """Refuses a U-Net whose fields do not fit its number of levels."""
  levels, widths, first = model.levels, model.widths, model.first_width
  lowest = first * 2 ** (levels - 1)
  if not widths and lowest > _LARGEST_WIDTH:
    raise UserError(
      f'config.model.first_width={first} with levels={levels} makes '
      f'{lowest} channels at the lowest; choose fewer, at most '
      f'{_LARGEST_WIDTH}.'
    )
  if len(widths) not in (0, levels):
    raise UserError(
      f'config.model.widths={widths} must be as many as '
      f'config.model.levels={levels}, or ().'
    )
  for level in model.dropout_levels:
    if not 0 <= level < levels:
      raise UserError(
        f'config.model.dropout_levels names level {level}; '
        f'levels are 0 to {levels - 1}.'
      )


def _check_widths(model):
  """Refuses lists of widths, and of kernels, that make no network."""
  widths = getattr(model, 'widths', ())
  kernels = getattr(model, 'kernels', ())
  if isinstance(model, cnn.CNN) and len(widths) != len(kernels):
    raise UserError(
      f'config.model.widths={widths} and kernels={kernels} must be as many.'
    )
  if min((*widths, *kernels, 1)) < 1:
    raise UserError(
      f'config.model.widths={widths} and kernels={kernels} must be at least 1.'
    )
  if max(widths, default=1) > _LARGEST_WIDTH or (
    max(kernels, default=1) > _LARGEST_KERNEL
  ):
    raise UserError(
      f'config.model.widths={widths} must be at most {_LARGEST_WIDTH}, and '
      f'kernels={kernels} at most {_LARGEST_KERNEL}.'
    )


def input_channels(name: str) -> tuple[int, ...]:
  """Returns the numbers of input channels that a network takes.

  Args:
    name: `config.model.name`.

  Returns:
    The numbers; (): any number will do.
  """
  return _NETWORKS[name].input_channels


def encoder_weights(name: str) -> types.ModuleType:
  """Returns the module that reads the weights of a network's encoder.

  Args:
    name: `config.model.name` of a network that has `encoder_weights`.

  Returns:
    A module with a function `read` and a text `FILES`, as `vgg_weights`.
  """
  return _NETWORKS[name].weights


def frozen_layers(
  model: nn.Module, layers: Iterable[str], patterns: str
) -> tuple[str, ...]:
  """Returns the top-level layers that training leaves alone.

  Args:
    model: a Linen network, which may have layers that are always frozen.
    layers: the names of all of its top-level layers.
    patterns: `config.train.freeze`, as of a shell and separated by commas.

  Raises:
    UserError: a pattern matches no layer, or nothing is left to train.
  """
  layers, frozen = list(layers), {*getattr(model, 'frozen', ())}
  for pattern in filter(None, map(str.strip, patterns.split(','))):
    matching = fnmatch.filter(layers, pattern)
    if not matching:
      raise UserError(
        f'config.train.freeze: {pattern} is no layer; choose from '
        f'{", ".join(layers)}.'
      )
    frozen.update(matching)
  if patterns and frozen.issuperset(layers):
    raise UserError(
      f'config.train.freeze={patterns} leaves no layer to train; choose fewer.'
    )
  return tuple(layer for layer in layers if layer in frozen)


def skips(model: nn.Module) -> tuple[tuple[str, str], ...]:
  """Returns the names of the layers that each skip connection joins."""
  return getattr(model, 'skips', ())
