"""Networks, built by name from a config."""

import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.errors import UserError
from carvana_jax.models import cnn, unet, vgg_unet

_MODELS = {
  'unet': unet.UNet,
  'cnn': cnn.CNN,
  'vgg_unet': vgg_unet.VGGUNet,
}
_CHOICES = {
  'name': tuple(_MODELS),
  'norm': unet.NORMS,
  'upsampling': unet.UPSAMPLINGS,
  'dtype': ('float32', 'bfloat16'),
}
# The least value of a field.
_LEAST = {
  'levels': 1,
  'first_width': 1,
  'encoder_convs': 1,
  'decoder_convs': 1,
  'head_width': 0,
  'head_kernel': 1,
}


def build(model_config) -> nn.Module:
  """The network that `config.model` describes.

  Its fields are those of the class that `name` stands for.

  Raises:
    UserError: a field has a value that it can't have.
  """
  fields = {
    # A config that was read from JSON holds lists.
    name: tuple(value) if isinstance(value, list) else value
    for name, value in model_config.items()
  }
  for field, choices in _CHOICES.items():
    if field in fields and fields[field] not in choices:
      raise UserError(
        f'config.model.{field}={fields[field]!r} is unknown; '
        f'choose from {", ".join(choices)}.'
      )
  for field, least in _LEAST.items():
    if fields.get(field, least) < least:
      raise UserError(
        f'config.model.{field}={fields[field]} must be at least {least}.'
      )
  if not 0 <= fields.get('dropout', 0) < 1:
    raise UserError('config.model.dropout must be in 0..1, without 1.')
  widths, kernels = fields.get('widths', ()), fields.get('kernels', ())
  if len(widths) != len(kernels) or min((*widths, *kernels, 1)) < 1:
    raise UserError(
      f'config.model.widths={widths} and kernels={kernels} must be as many, '
      'and at least 1.'
    )
  for level in fields.get('dropout_levels', ()):
    if not 0 <= level < fields['levels']:
      raise UserError(
        f'config.model.dropout_levels names level {level}; '
        f'levels are 0 to {fields["levels"] - 1}.'
      )
  fields['dtype'] = jnp.dtype(fields['dtype'])
  return _MODELS[fields.pop('name')](**fields)


def frozen_layers(model: nn.Module) -> tuple[str, ...]:
  """The top-level layers whose parameters training leaves alone."""
  return getattr(model, 'frozen', ())


def skips(model: nn.Module) -> tuple[tuple[str, str], ...]:
  """Names of the layers that a skip connection leads from and to."""
  return getattr(model, 'skips', ())
