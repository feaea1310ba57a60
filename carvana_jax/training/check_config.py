"""Refuses configs that would fail late, or silently."""

import jax
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import prepare, spec
from carvana_jax.system import config_fields
from carvana_jax.system.errors import UserError
from carvana_jax.training import losses
from carvana_jax.training.optimizer import make_optimizer

_LARGEST_BATCH = 2**16  # more images than the challenge has to train on

# What the values of fields must be; all numbers are finite.
_RANGES = {
  ('train', 'accumulate'): ('at least 1', lambda x: x >= 1),
  ('train', 'max_skipped'): ('at least 1', lambda x: x >= 1),
  # Steps are counted in 32 bits.
  ('train', 'epochs'): (
    'at least 1 and at most 100000',
    lambda x: 1 <= x <= 100_000,
  ),
  ('train', 'max_minutes'): ('at least 0', lambda x: x >= 0),
  ('train', 'average_decay'): ('in 0..1, without 1', lambda x: 0 <= x < 1),
  ('train', 'patience'): ('at least 0', lambda x: x >= 0),
  ('train', 'monitor'): ('dice or loss', lambda x: x in ('dice', 'loss')),
  ('train', 'picture_epochs'): ('at least 0', lambda x: x >= 0),
  ('optimizer', 'learning_rate'): ('above 0', lambda x: x > 0),
  ('optimizer', 'warmup'): ('between 0 and 1', lambda x: 0 < x < 1),
  ('optimizer', 'weight_decay'): ('at least 0', lambda x: x >= 0),
  ('optimizer', 'clip_norm'): ('at least 0', lambda x: x >= 0),
  ('augment', 'rotation'): ('in 0..180', lambda x: 0 <= x <= 180),
  ('augment', 'scale'): ('in 0..1, without 1', lambda x: 0 <= x < 1),
  ('augment', 'stretch'): ('in 0..1, without 1', lambda x: 0 <= x < 1),
  **{
    ('augment', name): ('in 0..1', lambda x: 0 <= x <= 1)
    for name in (
      'shift',
      'brightness',
      'contrast',
      'saturation',
      'hue',
      'gray',
      'repaint',
    )
  },
  ('eval', 'smooth'): ('at least 0', lambda x: x >= 0),
  ('eval', 'threshold'): ('between 0 and 1', lambda x: 0 < x < 1),
}


def check(config: ConfigDict) -> None:
  """Raises a `UserError` that names the field, its value and the remedy."""
  config_fields.check_fields(config)
  if not 0 <= config.seed < 2**32:
    raise UserError(
      f'config.seed={config.seed} must be at least 0, and below 2**32.'
    )
  for (section, name), (words, holds) in _RANGES.items():
    value = config[section][name]
    if not holds(value):
      raise UserError(f'config.{section}.{name}={value} must be {words}.')
  losses.by_name(config.train.loss)
  models.build(config.model)
  if config.data.coarse:
    _check_coarse(config)
  make_optimizer(config.optimizer, total_steps=100)
  _check_folds(config.data.validation_folds)
  _check_pseudo_labels(config.data)
  _check_sizes(config)
  _check_channels(config)
  _check_batches(config)


def refuse_tiles(config: ConfigDict) -> None:
  """Raises a `UserError` where a config is that of a second network."""
  if config.data.coarse:
    raise UserError(
      f'config.data.coarse={config.data.coarse} is set by carvana_jax.refine; '
      'leave it out.'
    )


def _check_folds(chosen):
  others = set(range(spec.FOLDS)) - {spec.TEST_FOLD}
  if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) < others:
    raise UserError(
      f'config.data.validation_folds={tuple(chosen)} must be different ones '
      f'from 1 to {spec.FOLDS - 1}, but not all, such as (1,) or (3, 8).'
    )


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


def _check_coarse(config):
  folder = config.data.coarse
  if config.data.multiview or config.data.pseudo_labels:
    raise UserError(
      f'config.data.coarse={folder} makes tiles of labelled photos as they '
      'are; unset config.data.multiview and config.data.pseudo_labels.'
    )


def _check_channels(config):
  channels = prepare.input_shape(config.data)[-1]
  taken = models.input_channels(config.model.name)
  if taken and channels not in taken:
    multiview, folder = config.data.multiview, config.data.coarse
    cause = f'multiview={multiview}' if multiview else f'coarse={folder}'
    raise UserError(
      f'config.data.{cause} gives {channels} channels, but '
      f'config.model.name={config.model.name} takes '
      f'{" or ".join(map(str, taken))}; choose another config.model.'
    )


def _check_sizes(config):
  prepare.refuse_unknown_sizes(config.data)
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
    if not 1 <= size <= _LARGEST_BATCH or size % devices:
      raise UserError(
        f'config.{section}.batch_size={size} cannot be split over '
        f'{devices} devices; choose a multiple of {devices} up to '
        f'{_LARGEST_BATCH}.'
      )
  parts = config.train.accumulate
  if config.train.batch_size % (devices * parts):
    raise UserError(
      f'config.train.accumulate={parts} cannot split '
      f'config.train.batch_size={config.train.batch_size} on {devices} '
      f'devices; choose a batch size that is a multiple of {devices * parts}.'
    )
