"""Prepares the data sets that a config names, unless their files are there.

`reading.py` opens what has been prepared.
"""

import contextlib
import functools
import importlib
import pathlib
import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import tensorflow_datasets as tfds

from carvana_jax.datasets import empty_studio, pseudo_labels, reading, spec
from carvana_jax.datasets.borders import borders_dataset_builder
from carvana_jax.datasets.multiview import multiview_dataset_builder
from carvana_jax.datasets.names import FULL_SIZES, OWN_SIZE, PROBABILITY_ENDING
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# A row for each data set of `names.FULL_SIZES`: the module, imported when it is
# needed, with its `Builder` and a function `preparation`, which returns the
# `spec.Preparation` of a config and the folder of all prepared data.
_MODULES = {
  'carvana': 'carvana_jax.datasets.carvana.carvana_dataset_builder',
  'studio': 'carvana_jax.datasets.studio.studio_dataset_builder',
  'folder': 'carvana_jax.datasets.folder.folder_dataset_builder',
}

# These files can be read at any position, so a run that goes on in the middle
# of an epoch reads nothing of what came before.
_FORMAT = 'array_record'

# How long nothing has changed in a folder that its process has left. Locks of
# some network disks hold on one host only, so others may be at work.
_ABANDONED = 24 * 3600  # seconds


def input_shape(data_config) -> tuple[int, int, int]:
  """Returns (h, w, C) of the network's input.

  Three channels are colours, three more the differences between views, or one
  more what another network saw, and four how it differs from the empty studio.

  Args:
    data_config: `config.data`.

  Raises:
    UserError: the config's size is not HEIGHTxWIDTH.
  """
  channels = 6 if data_config.multiview else 4 if data_config.coarse else 3
  if data_config.empty_studio:
    channels += empty_studio.CHANNELS
  return (*spec.parse_size(data_config.size), channels)


def full_size(data_config) -> str:
  """Returns the size of the final evaluation, HEIGHTxWIDTH or `OWN_SIZE`.

  Args:
    data_config: `config.data`.

  Raises:
    UserError: the data set is unknown.
  """
  _refuse_unknown_name(data_config)
  return data_config.full_size or FULL_SIZES[data_config.dataset]


def refuse_full_size(data_config) -> None:
  """Checks early what is prepared late, the size of the final evaluation.

  Args:
    data_config: `config.data`.

  Raises:
    UserError: the data set is unknown, or the size is none.
  """
  _is_own(data_config, full_size(data_config))


def _is_own(data_config, size):
  """Returns whether a size is each photo's own; refuses what is no size."""
  is_own = size == OWN_SIZE == FULL_SIZES[data_config.dataset]
  if not is_own:
    spec.parse_size(size)
  return is_own


def _refuse_unknown_name(data_config):
  if data_config.dataset not in FULL_SIZES:
    raise UserError(
      f'config.data.dataset={data_config.dataset!r} is unknown; '
      f'choose from {", ".join(FULL_SIZES)}.'
    )


def for_network(
  data_config, begun: Callable[[int], None] = lambda _: None
) -> tfds.core.DatasetBuilder:
  """Returns the prepared data set that a network is trained on.

  Args:
    data_config: `config.data`.
    begun: as for `dataset`.

  Raises:
    UserError: as for `dataset`.
  """
  if data_config.multiview:
    return _multiview(data_config)
  if data_config.coarse:
    return _borders(data_config)
  return dataset(data_config, data_config.size, begun)


def for_scoring(data_config) -> tfds.core.DatasetBuilder:
  """Returns the prepared data set of the full size.

  Args:
    data_config: `config.data`.

  Raises:
    UserError: as for `dataset`.
  """
  return dataset(data_config, full_size(data_config))


def dataset(
  data_config, size: str, begun: Callable[[int], None] = lambda _: None
) -> tfds.core.DatasetBuilder:
  """Returns the prepared data set of `config.data` at one size.

  Args:
    data_config: `config.data`.
    size: HEIGHTxWIDTH, or `OWN_SIZE` where that is the full size.
    begun: called before files are prepared that are not there, if it is known
      how many photos the split train will have, with their number.

  Returns:
    A builder whose examples can be read in any order (`as_data_source`).

  Raises:
    UserError: the data set is unknown, the size is none, or files are missing
      or damaged: those that it is made from, or those that were prepared
      earlier.
  """
  module = _module(data_config)
  is_own = _is_own(data_config, size)
  found = module.preparation(data_config, _root(data_config))
  for line in found.lines:
    _say(line)
  is_plain = is_own or found.fit == 'stretch'
  name = size if is_plain else f'{size}-{found.fit}'
  create = functools.partial(module.Builder, config=name, **found.options)

  def announce():
    if found.train_photos:
      begun(found.train_photos)

  builder = _prepare(
    data_config, found.folder, create, found.download_config, announce
  )
  found.remember()
  return builder


@functools.cache  # once in a command, which prepares several sizes
def _say(line: str) -> None:
  print(line, flush=True)


def _multiview(data_config):
  """Returns the data set of crops and differences, made from the full size."""
  source = for_scoring(data_config)
  create = functools.partial(
    multiview_dataset_builder.Builder, source=source, config=data_config.size
  )
  # Within its source, on whose size and version the crops depend.
  return _prepare(data_config, source.data_path, create)


def _borders(data_config):
  """Returns the data set of tiles along the border that a network sees."""
  source = for_scoring(data_config)
  probabilities = files.expand(data_config.coarse)
  pictures = sorted(probabilities.rglob(f'*{PROBABILITY_ENDING}'))
  name = f'coarse-{pseudo_labels.fingerprint_of(pictures)}'
  if data_config.empty_studio:
    name += '-studio'
  folder = source.data_path / name
  create = functools.partial(
    borders_dataset_builder.Builder,
    source=source,
    probabilities=probabilities,
    studio=data_config.empty_studio,
    config=data_config.size,
  )
  return _prepare(data_config, folder, create)


def _prepare(
  data_config, folder, create, download_config=None, announce=lambda: None
):
  """Returns the builder that `create` makes, once its files are in a folder."""
  create = functools.partial(create, data_dir=folder, file_format=_FORMAT)
  with reading.readable_errors(folder):
    builder = create()
  if builder.data_path.exists():
    reading.refuse_damaged(builder)
    return builder
  files.check_folder(pathlib.Path(builder.data_path), 'config.data.data_dir')
  with _lock(_root(data_config)):
    builder = create()  # another process may have made the files just now
    if builder.data_path.exists():
      return builder
    _remove_leftovers(pathlib.Path(builder.data_path))
    name = f'{builder.name}/{builder.builder_config.name}'
    print(f'preparing {name} in {builder.data_path}', flush=True)
    announce()
    if not sys.stderr.isatty():
      tfds.disable_progress_bar()
    # TFDS speaks of a download, of which there is none.
    with contextlib.redirect_stdout(None), files.full_disk_named(folder):
      builder.download_and_prepare(download_config=download_config)
  return builder


@contextlib.contextmanager
def _lock(folder):
  """Keeps other processes from making the same files, where locks are known."""
  is_new = not folder.exists()
  folder.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    if is_new:
      stack.callback(_remove_unused, folder)
    try:
      stack.enter_context(files.lock(folder, wait=False))
    except BlockingIOError:
      print(f'waiting for another process that prepares data in {folder}')
      stack.enter_context(files.lock(folder))
    except files.NoLocksError:
      pass
    yield


def _remove_leftovers(data_path):
  """Removes what processes that were killed have made of these files."""
  for folder in data_path.parent.glob(f'incomplete.*_{data_path.name}'):
    with contextlib.suppress(OSError):  # it is in use
      changed = max(x.stat().st_mtime for x in (folder, *folder.rglob('*')))
      if time.time() - changed > _ABANDONED:
        shutil.rmtree(folder)


def _remove_unused(folder):
  with contextlib.suppress(OSError):  # it is used
    folder.rmdir()


def identity(data_config, builder: tfds.core.DatasetBuilder) -> str:
  """Returns what tells prepared data from others.

  Args:
    data_config: `config.data`.
    builder: the prepared data set.

  Returns:
    Source, name, size and version, as their folders have it.
  """
  return str(pathlib.Path(builder.data_path).relative_to(_root(data_config)))


def are_same(data_config, one: Any, other: Any) -> bool:
  """As `is_same`, where either may be what was noted before the other."""
  if not isinstance(one, str) or not isinstance(other, str):
    return False
  return is_same(data_config, one, other) or is_same(data_config, other, one)


def is_same(data_config, before: Any, now: str) -> bool:
  """Returns whether the data of a run or a result are those at hand.

  Args:
    data_config: `config.data`.
    before: the identity that was noted, or its source alone; anything else is
      that of no data. Old ones follow from the names and sizes of the
      challenge's files, of pseudo labels and of probabilities, without their
      content.
    now: the same of the data at hand.
  """
  if not isinstance(before, str):
    return False
  contentless = lambda name, text: re.sub(
    f'({name}[0-9a-f]{{8}})-[0-9a-f]{{8}}', r'\1', text
  )
  known = [now, contentless('coarse-', contentless(' pseudo labels ', now))]
  # Were the old data there and the files the same, they would be at hand.
  if not (_root(data_config) / source_of(before)).exists():
    known += [contentless('^carvana-', x) for x in known]
  return before in known


def source_of(identity: str) -> str:
  """Returns what an `identity` says of the source alone, whatever the size."""
  return identity.partition('/')[0]


def _root(data_config):
  return files.absolute(data_config.data_dir)


def _module(data_config):
  """Returns the builder's module of a data set, unless that is unknown."""
  _refuse_unknown_name(data_config)
  return importlib.import_module(_MODULES[data_config.dataset])
