"""From a data set's name and a size to prepared files, made when missing."""

import contextlib
import pathlib
import sys

import tensorflow_datasets as tfds

from carvana_jax.datasets import spec
from carvana_jax.datasets.carvana import kaggle, source
from carvana_jax.errors import UserError

# The size in which a data set's masks are scored, unless a config says so.
FULL_SIZES = {'carvana': spec.ORIGINAL_SIZE, 'studio': '256x384'}


def full_size(data_config) -> str:
  """The size of the final evaluation, HEIGHTxWIDTH."""
  check_name(data_config)
  return data_config.full_size or FULL_SIZES[data_config.dataset]


def check_name(data_config) -> None:
  """Raises a `UserError` where `config.data.dataset` is unknown."""
  if data_config.dataset not in FULL_SIZES:
    raise UserError(
      f'config.data.dataset={data_config.dataset!r} is unknown; '
      f'choose from {", ".join(FULL_SIZES)}.'
    )


def check_size(data_config, size: str) -> None:
  """Raises a `UserError` where the data set does not come in that size."""
  spec.parse_size(size)
  sizes = _builder_class(data_config).builder_configs
  if size not in sizes:
    raise UserError(
      f'{data_config.dataset} has no size {size!r}; '
      f'choose from {", ".join(sizes)}.'
    )


def dataset(data_config, size: str) -> tfds.core.DatasetBuilder:
  """The prepared data set of `config.data` at one size.

  Args:
    data_config: `config.data`.
    size: the builder config, HEIGHTxWIDTH.

  Returns:
    A builder whose examples can be read in any order (`as_data_source`).

  Raises:
    UserError: name or size are unknown, or files are missing or damaged.
  """
  check_name(data_config)
  check_size(data_config, size)
  folder, options, download = _sources(data_config)
  # ArrayRecord files can be read at any position, so a run that goes on in
  # the middle of an epoch reads nothing of what came before.
  builder = _builder_class(data_config)(
    config=size, data_dir=folder, file_format='array_record', **options
  )
  if not builder.data_path.exists():
    name = f'{data_config.dataset}/{size}'
    print(f'preparing {name} in {builder.data_path}', flush=True)
    if not sys.stderr.isatty():
      tfds.disable_progress_bar()
    # TFDS speaks of a download, of which there is none.
    with contextlib.redirect_stdout(None):
      builder.download_and_prepare(download_config=download)
  return builder


def identity(builder: tfds.core.DatasetBuilder) -> str:
  """What tells the prepared data from others: source, name, size, version."""
  parts = pathlib.Path(builder.data_path).parts
  known = -4 if parts[-4].startswith('carvana-') else -3
  return '/'.join(parts[known:])


def _builder_class(data_config):
  if data_config.dataset == 'studio':
    from carvana_jax.datasets.studio import studio_dataset_builder as module
  else:
    from carvana_jax.datasets.carvana import carvana_dataset_builder as module
  return module.Builder


def _sources(data_config):
  """Folder of the prepared files, builder arguments, download config."""
  root = pathlib.Path(data_config.data_dir).expanduser().absolute()
  if data_config.dataset == 'studio':
    return root, {}, None
  manual_dir = pathlib.Path(data_config.manual_dir or root / 'manual')
  manual_dir = manual_dir.expanduser()
  if data_config.kaggle:
    kaggle.fetch_if_missing(manual_dir)
  files = source.find(manual_dir, data_config.unlabeled)
  return (
    # Each source in a folder of its own, so that two never pass for one.
    root / f'carvana-{source.fingerprint(files)}',
    {'unlabeled': data_config.unlabeled},
    tfds.download.DownloadConfig(manual_dir=manual_dir),
  )
