"""The networks; `registry` builds them from a config."""

from carvana_jax.models.registry import (
  build,
  frozen_layers,
  input_channels,
  skips,
)

__all__ = ['build', 'frozen_layers', 'input_channels', 'skips']
