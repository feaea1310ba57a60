"""Refuses configs that would fail late, or silently."""

import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import (
  chosen_splits,
  fitting,
  network_size,
  prepare,
  spec,
)
from carvana_jax.datasets.folder import groups
from carvana_jax.system import config_fields
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  augment,
  initial_network,
  losses,
  optimizer,
  saved_steps,
  steps,
  stopping,
  validation,
)

_LARGEST_BATCH = 2**16  # more images than the challenge has to train on

# Fields that say where files are or how they are read, and which data sets
# have a use for them.
_SOURCES = {
  'manual_dir': ('carvana', 'folder'),
  'kaggle': ('carvana',),
  'groups': ('folder',),
  'mask_ending': ('folder',),
  'object_values': ('folder',),
  'resize_masks': ('folder',),
}

# Where `RANGES` has, beside the code that uses a field, {field: (words, test)}.
_MODULES = (steps, stopping, validation, optimizer, augment, initial_network)


def check(config: ConfigDict) -> None:
  """Refuses a config that can't be run, and settles what it leaves open.

  Args:
    config: as in configs/default.py; its `data.size` is set if it is empty.

  Raises:
    UserError: a field has a value that it can't have, or that does not go with
      another's or with the devices. It names field, value and remedy.
  """
  config_fields.check_fields(config)
  if not 0 <= config.seed < 2**32:
    raise UserError(
      f'config.seed={config.seed} must be at least 0, and below 2**32.'
    )
  for module in _MODULES:
    for field, (words, holds) in module.RANGES.items():
      section, name = field.split('.')
      value = config[section][name]
      if not holds(value):
        raise UserError(f'config.{field}={value} must be {words}.')
  losses.by_name(config.train.loss)
  _check_start(config, models.build(config.model))
  _check_coarse(config.data)
  _check_studio(config)
  optimizer.make_optimizer(config.optimizer, total_steps=100)
  _check_folds(config.data.validation_folds)
  chosen_splits.of(config.data)
  _check_pseudo_labels(config.data)
  _check_fit(config.data)
  if config.data.groups == groups.UNSPLIT:
    raise UserError(
      f'config.data.groups={groups.UNSPLIT} leaves nothing to train on; set it '
      f'to {groups.BY_PHOTO} if each photo shows another object.'
    )
  network_size.settle(config.data)
  network_size.refuse_unfit(config.data)
  _check_channels(config)
  _check_batches(config)


def refuse_tiles(config: ConfigDict) -> None:
  """Raises a `UserError` where a config is that of a second network."""
  if config.data.coarse:
    raise UserError(
      f'config.data.coarse={config.data.coarse} is set by carvana_jax.refine; '
      'leave it out.'
    )


def refuse_unused_source(
  config: ConfigDict, workdirs: Sequence[pathlib.Path]
) -> None:
  """Refuses a new run whose config names files that it has no use for.

  Older versions ran such a config, which may not change while a run goes on.

  Args:
    config: as in configs/default.py.
    workdirs: the folders of the run, or of those that are made with the config.

  Raises:
    UserError: there are such files, and none of the folders has a checkpoint.
  """
  if any(map(saved_steps.exists, workdirs)):
    return
  for field, datasets in _SOURCES.items():
    if config.data[field] and config.data.dataset not in datasets:
      raise UserError(
        f'config.data.{field}={config.data[field]} is of no use with '
        f'config.data.dataset={config.data.dataset}; set '
        f'config.data.dataset={" or ".join(datasets)}, or leave it out.'
      )


def _check_start(config, model):
  """Refuses what follows from `init_from` where that is not given."""
  train = config.train
  for field, usual in (('init_rate', 1), ('freeze', '')):
    if not train.init_from and train[field] != usual:
      raise UserError(
        f'config.train.{field}={train[field]} is for what was trained before; '
        'name a run by config.train.init_from, or leave it out.'
      )
  if train.freeze:
    key, image = jax.random.key(0), jnp.zeros((1, 64, 64, 3))
    layers = jax.eval_shape(lambda: model.init(key, image, train=False))
    models.frozen_layers(model, layers['params'], train.freeze)


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


def _check_coarse(data_config):
  folder = data_config.coarse
  if folder and (data_config.multiview or data_config.pseudo_labels):
    raise UserError(
      f'config.data.coarse={folder} makes tiles of labelled photos as they '
      'are; unset config.data.multiview and config.data.pseudo_labels.'
    )


def _check_studio(config):
  if config.data.empty_studio and not config.data.coarse:
    raise UserError(
      'config.data.empty_studio=True is for the tiles of a second network; '
      'train one with carvana_jax.refine, or leave it out.'
    )
  hidden = config.augment.hide_studio
  if hidden and not config.data.empty_studio:
    raise UserError(
      f'config.augment.hide_studio={hidden} hides what nothing shows; set '
      'config.data.empty_studio=True, or leave it out.'
    )


def _check_fit(data_config):
  fit, dataset = data_config.fit, data_config.dataset
  if fit not in fitting.FITS:
    raise UserError(
      f'config.data.fit={fit} must be one of {", ".join(fitting.FITS)}.'
    )
  if fit == 'stretch':
    return
  if data_config.multiview:
    raise UserError(
      f'config.data.fit={fit} is of no use with config.data.multiview=True, '
      'which crops photos; set config.data.fit=stretch.'
    )
  if dataset != 'folder':
    raise UserError(
      f'config.data.fit={fit} is of no use with config.data.dataset={dataset}, '
      'whose photos have one shape; set config.data.fit=stretch.'
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


def _check_batches(config):
  devices = jax.device_count()
  size = config.eval.batch_size  # predictions pad it to what devices share
  if not 1 <= size <= _LARGEST_BATCH:
    raise UserError(
      f'config.eval.batch_size={size} must be from 1 to {_LARGEST_BATCH}.'
    )
  size = config.train.batch_size
  if not 1 <= size <= _LARGEST_BATCH or size % devices:
    raise UserError(
      f'config.train.batch_size={size} cannot be split over {devices} '
      f'devices; choose a multiple of {devices} up to {_LARGEST_BATCH}.'
    )
  parts = config.train.accumulate
  if size % (devices * parts):
    raise UserError(
      f'config.train.accumulate={parts} cannot split '
      f'config.train.batch_size={size} on {devices} devices; choose '
      f'a batch size that is a multiple of {devices * parts}.'
    )
