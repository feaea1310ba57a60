"""From a data set's name and a size to prepared files, made when missing."""

import pathlib
import sys

import tensorflow_datasets as tfds

from carvana_jax.datasets import spec
from carvana_jax.errors import UserError

# The size in which a data set's masks are scored, unless a config says so.
FULL_SIZES = {'carvana': spec.ORIGINAL_SIZE, 'studio': '256x384'}


def full_size(data_config) -> str:
  """The size of the final evaluation, HEIGHTxWIDTH."""
  return data_config.full_size or FULL_SIZES[checked_name(data_config)]


def checked_name(data_config) -> str:
  """`config.data.dataset`, or a `UserError` where it is unknown."""
  if data_config.dataset not in FULL_SIZES:
    raise UserError(
      f'config.data.dataset={data_config.dataset!r} is unknown; '
      f'choose from {", ".join(FULL_SIZES)}.'
    )
  return data_config.dataset


def dataset(data_config, size: str) -> tfds.core.DatasetBuilder:
  """The prepared data set of `config.data` at one size.

  Args:
    data_config: `config.data`.
    size: the builder config, HEIGHTxWIDTH.

  Returns:
    A builder whose examples can be read in any order (`as_data_source`).

  Raises:
    UserError: the size is unknown, or the files are missing or damaged.
  """
  name = checked_name(data_config)
  make = {'carvana': _carvana, 'studio': _studio}[name]
  spec.parse_size(size)
  builder_class, where, options, download = make(data_config)
  if size not in builder_class.builder_configs:
    raise UserError(
      f'{name} has no size {size!r}; choose from '
      f'{", ".join(builder_class.builder_configs)}.'
    )
  # ArrayRecord files can be read at any position, so a run that goes on in
  # the middle of an epoch reads nothing of what came before.
  builder = builder_class(
    config=size, data_dir=where, file_format='array_record', **options
  )
  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  builder.download_and_prepare(download_config=download)
  return builder


def _studio(data_config):
  """Builder class, folder, its arguments and the download config."""
  from carvana_jax.datasets.studio import studio_dataset_builder

  return studio_dataset_builder.Builder, _root(data_config), {}, None


def _carvana(data_config):
  """The same for the real photos, in a folder of their own for every source."""
  from carvana_jax.datasets.carvana import (
    carvana_dataset_builder,
    kaggle,
    source,
  )

  root = _root(data_config)
  manual_dir = pathlib.Path(data_config.manual_dir or root / 'manual')
  if data_config.kaggle:
    kaggle.fetch_if_missing(manual_dir)
  files = source.find(manual_dir, data_config.unlabeled)
  return (
    carvana_dataset_builder.Builder,
    root / f'carvana-{source.fingerprint(files)}',
    {'unlabeled': data_config.unlabeled},
    tfds.download.DownloadConfig(manual_dir=manual_dir),
  )


def _root(data_config):
  return pathlib.Path(data_config.data_dir).absolute()
