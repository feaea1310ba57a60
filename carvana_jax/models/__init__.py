"""The networks; `registry` builds them from a config."""

from carvana_jax.models.registry import build, frozen_layers, skips

__all__ = ['build', 'frozen_layers', 'skips']
