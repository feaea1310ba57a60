"""Refuses configs that would fail late, or silently."""

import math

import jax
from ml_collections import ConfigDict

from carvana_jax import losses, models, prepare, train_state
from carvana_jax.datasets import spec
from carvana_jax.errors import UserError

# What the values of fields must be.
_RANGES = {
  ('train', 'accumulate'): ('at least 1', lambda x: x >= 1),
  ('train', 'max_skipped'): ('at least 1', lambda x: x >= 1),
  ('train', 'epochs'): ('at least 1', lambda x: x >= 1),
  ('train', 'max_minutes'): ('at least 0', lambda x: x >= 0),
  ('train', 'average_decay'): ('in 0..1, without 1', lambda x: 0 <= x < 1),
  ('train', 'patience'): ('at least 0', lambda x: x >= 0),
  ('train', 'monitor'): ('dice or loss', lambda x: x in ('dice', 'loss')),
  ('train', 'picture_epochs'): ('at least 0', lambda x: x >= 0),
  ('optimizer', 'learning_rate'): ('above 0', lambda x: 0 < x < math.inf),
  ('optimizer', 'clip_norm'): ('at least 0', lambda x: x >= 0),
  ('augment', 'rotation'): ('in 0..180', lambda x: 0 <= x <= 180),
  ('augment', 'scale'): ('in 0..1, without 1', lambda x: 0 <= x < 1),
  **{
    ('augment', name): ('in 0..1', lambda x: 0 <= x <= 1)
    for name in ('shift', 'brightness', 'contrast', 'saturation', 'hue', 'gray')
  },
  ('eval', 'smooth'): ('at least 0', lambda x: x >= 0),
  ('eval', 'threshold'): ('between 0 and 1', lambda x: 0 < x < 1),
}


def check(config: ConfigDict) -> None:
  """Raises a `UserError` that names the field, its value and the remedy."""
  if config.seed < 0:
    raise UserError(f'config.seed={config.seed} must be at least 0.')
  for (section, name), (words, holds) in _RANGES.items():
    value = config[section][name]
    if not holds(value):
      raise UserError(f'config.{section}.{name}={value} must be {words}.')
  losses.by_name(config.train.loss)
  models.build(config.model)
  if config.data.multiview and config.model.name == 'vgg_unet':
    raise UserError(
      'config.data.multiview=True gives six channels, but VGG19 takes three; '
      'choose another config.model.'
    )
  train_state.make_optimizer(config.optimizer, total_steps=100)
  _check_pseudo_labels(config.data)
  _check_sizes(config)
  _check_batches(config)


def _check_pseudo_labels(data_config):
  folder = data_config.pseudo_labels
  if folder and not data_config.unlabeled:
    raise UserError(
      f'config.data.pseudo_labels={folder} needs the unlabeled photos; set '
      'config.data.unlabeled=True.'
    )
  if folder and data_config.multiview:
    raise UserError(
      f'config.data.pseudo_labels={folder} holds masks of whole photos, but '
      'config.data.multiview=True crops them; unset one of the two.'
    )


def _check_sizes(config):
  prepare.check_sizes(config.data)
  sizes = (config.data.size, prepare.full_size(config.data))
  network, full = map(spec.parse_size, sizes)
  if network[0] > full[0] or network[1] > full[1]:
    raise UserError(
      f'config.data.size={sizes[0]} is larger than the full size {sizes[1]}; '
      'set config.data.full_size.'
    )


def _check_batches(config):
  devices = jax.device_count()
  for section in ('train', 'eval'):
    size = config[section].batch_size
    if size < 1 or size % devices:
      raise UserError(
        f'config.{section}.batch_size={size} cannot be split over '
        f'{devices} devices; choose a multiple of {devices}.'
      )
  parts = config.train.accumulate
  if config.train.batch_size % (devices * parts):
    raise UserError(
      f'config.train.accumulate={parts} cannot split '
      f'config.train.batch_size={config.train.batch_size} on {devices} '
      f'devices; choose a batch size that is a multiple of {devices * parts}.'
    )
