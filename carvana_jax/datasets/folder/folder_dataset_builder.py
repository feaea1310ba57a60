"""Users' own photos and masks as a TFDS data set."""

import hashlib
import io
import json
import pathlib
import sys
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import decoding, fitting, images, known_files, spec
from carvana_jax.datasets.folder import groups, masks, source, splits, verify
from carvana_jax.datasets.folder.items import Item
from carvana_jax.datasets.names import OWN_SIZE
from carvana_jax.system import files, progress, threads

_DESCRIPTION = """
Photos of a folder, with masks of the object in each. Photos are split by group,
those that show the same object, into `train`, `validation` and `test`;
`unlabeled` are those without a mask.
"""

_NO_METADATA = {'make': '', 'model': '', 'year': '', 'trim': ''}
# Of `config.data`: what data of the same folder differ by.
_OPTIONS = (
  'groups', 'mask_ending', 'object_values', 'resize_masks', 'unlabeled'
)  # fmt: skip

# How the masks are read of folders whose files have been checked; once in a
# command, which prepares several sizes.
_checked: dict[pathlib.Path, masks.Reading] = {}


def preparation(
  data_config: ConfigDict, root: pathlib.Path
) -> spec.Preparation:
  """Finds a folder's photos and masks, and says what it takes to prepare them.

  Args:
    data_config: `config.data`.
    root: the folder of all prepared data.

  Raises:
    UserError: as `source.find`.
  """
  found = source.find(data_config)
  manual_dir = files.absolute(data_config.manual_dir)
  origin = known_files.Origin(
    manual_dir,
    [
      {x.name: x.photo for x in found.items if x.photo},
      {x.name: x.mask for x in found.items if x.mask},
    ],
    _mark(found, data_config),
    # Other options give other data of the same files.
    json.dumps([data_config[x] for x in _OPTIONS]),
  )
  known = known_files.KnownFiles(root, 'folder', origin)
  options = {
    'source': found,
    'object_values': data_config.object_values,
    'resize_masks': data_config.resize_masks,
  }
  return spec.Preparation(
    root / known.folder,
    options,
    None,
    known.remember,
    data_config.fit,
    (*found.lines, *known.news),
    sum(place.split == 'train' for place in found.places),
  )


def _mark(found: source.Source, data_config: ConfigDict) -> str:
  """Returns 8 hexadecimal digits that follow from all but the contents."""
  rows = [
    [item.name, *label, *place]
    for item, label, place in zip(*found[:3], strict=True)
  ]
  said = [rows, data_config.object_values, data_config.resize_masks]
  return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:8]


class Builder(spec.SizedBuilder):
  """Packages the photos and masks of a folder.

  A builder config names the size: `original` for each photo's own, or
  `HEIGHTxWIDTH`, with `-pad` where photos keep their shape, see `fitting`. At
  their own size photos keep their bytes where these are a JPG that is stored
  upright; all else is PNG. Every file is checked before anything is written.
  """

  VERSION = tfds.core.Version('1.0.0')
  BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own
    tfds.core.BuilderConfig(name=size, description=f'Images of {size} pixels.')
    for size in (OWN_SIZE, *spec.SIZES)
  ]

  def __init__(
    self,
    *,
    source: source.Source,
    object_values: str,
    resize_masks: bool,
    **kwargs: Any,
  ):
    """Constructs the builder.

    Args:
      source: the photos and masks.
      object_values: `config.data.object_values`.
      resize_masks: `config.data.resize_masks`.
      **kwargs: arguments of `tfds.core.GeneratorBasedBuilder`. The folder of
        the result does not tell the source, so give each its own `data_dir`.
    """
    self._source = source
    self._object_values = object_values
    self._resize_masks = resize_masks
    self._reading = None
    super().__init__(**kwargs)

  def download_and_prepare(self, **kwargs: Any) -> None:
    """Prepares the data.

    Args:
      **kwargs: arguments of the method of `tfds.core.DatasetBuilder`.

    Raises:
      UserError: files are damaged, or don't go together.
    """
    if not self.data_path.exists():
      self._reading = self._checked()  # before TFDS makes folders
    super().download_and_prepare(**kwargs)

  def _checked(self) -> masks.Reading:
    """Returns how masks are read, once all files are known to be good."""
    folder = pathlib.Path(self.data_path).parents[2]
    if folder not in _checked:
      items, _, places, _ = self._source
      reading = masks.survey(items, self._object_values)
      odd = verify.check(items, places, reading, self._resize_masks)
      for line in (reading.text, *odd):
        # Standard output is TFDS's, and not shown.
        progress.print_above(line, sys.stderr)
      _checked[folder] = reading
    return _checked[folder]

  def _info(self) -> tfds.core.DatasetInfo:
    size, _ = self._size_and_fit
    kind = None if size == OWN_SIZE else 'png'
    return self.dataset_info_from_configs(
      description=_DESCRIPTION, features=spec.features(size, kind)
    )

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, spec.Examples]:
    del dl_manager  # nothing to download
    rows = {x: [] for x in ('train', 'validation', 'test', 'unlabeled')}
    for item, label, place in zip(*self._source[:3], strict=True):
      rows[place.split].append((item, label, place))
    # TFDS cannot write a split without examples.
    return {
      split: self._generate_examples(own) for split, own in rows.items() if own
    }

  def _generate_examples(
    self, rows: list[tuple[Item, groups.Label, splits.Place]]
  ) -> spec.Examples:
    """Yields (key, example) with encoded images, computed on all cores."""
    return threads.ordered_map(lambda row: self._example(*row), rows)

  def _example(
    self, item: Item, label: groups.Label, place: splits.Place
  ) -> tuple[str, dict[str, Any]]:
    """Returns a key and the example, with encoded images."""
    photo, mask = self._encoded(item)
    return spec.photo_name(label.group, label.view), {
      'image': photo,
      'mask': mask,
      'filename': item.name,
      'car_id': label.group,
      'view': label.view,
      'fold': place.fold,
      **_NO_METADATA,
    }

  def _encoded(self, item: Item) -> tuple[bytes, bytes]:
    """Returns photo and mask as they are stored."""
    data = item.photo.read()
    orientation = decoding.orientation_of(data)
    name, fit = self._size_and_fit
    is_own = name == OWN_SIZE
    if is_own and orientation == 1 and decoding.kind_of(data) == 'JPEG':
      size = decoding.size_of(io.BytesIO(data))
      return data, images.encode_png(self._mask(item, size, orientation))
    photo = decoding.decode(data)
    size = photo.shape[:2]
    pair = photo, self._mask(item, size, orientation)
    if not is_own:
      wanted = spec.parse_size(name)
      part = fitting.place(size, wanted, fit)
      pair = (fitting.reduce(x, wanted, part) for x in pair)
    return tuple(map(images.encode_png, pair))

  def _mask(
    self, item: Item, size: tuple[int, int], orientation: int
  ) -> np.ndarray:
    """Returns a photo's mask, uint8 [H, W]; all zero where it has none."""
    if item.mask is None:
      return np.zeros(size, np.uint8)
    return masks.decode(
      item.mask.read(), self._reading, size, orientation, self._resize_masks
    )

  @property
  def _size_and_fit(self) -> tuple[str, str]:
    size, _, fit = self.builder_config.name.partition('-')
    return size, fit or 'stretch'
