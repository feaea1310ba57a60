"""Networks, built by name from a config."""

import jax.numpy as jnp
from flax import linen as nn

from carvana_jax.errors import UserError
from carvana_jax.models import unet

_MODELS = {'unet': unet.UNet}
_CHOICES = {
  'name': tuple(_MODELS),
  'norm': unet.NORMS,
  'upsampling': unet.UPSAMPLINGS,
  'dtype': ('float32', 'bfloat16'),
}


def build(model_config) -> nn.Module:
  """The network that `config.model` describes.

  Raises:
    UserError: a field has a value that it can't have.
  """
  fields = dict(model_config)
  for field, choices in _CHOICES.items():
    if fields[field] not in choices:
      raise UserError(
        f'config.model.{field}={fields[field]!r} is unknown; '
        f'choose from {", ".join(choices)}.'
      )
  module = _MODELS[fields.pop('name')]
  for field in ('levels', 'first_width', 'encoder_convs', 'decoder_convs'):
    if fields[field] < 1:
      raise UserError(f'config.model.{field} must be at least 1.')
  fields['dtype'] = jnp.dtype(fields['dtype'])
  fields['dropout_levels'] = tuple(fields['dropout_levels'])
  return module(**fields)
