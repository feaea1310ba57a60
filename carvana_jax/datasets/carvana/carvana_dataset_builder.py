"""The Carvana Image Masking Challenge as a TFDS data set."""

import pathlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from ml_collections import ConfigDict

from carvana_jax.datasets import images, known_files, spec
from carvana_jax.datasets.carvana import archives, kaggle, verify
from carvana_jax.datasets.file_listing import File
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError

_DESCRIPTION = """
Photos of cars in a turntable studio, 16 views of each, with masks of the car.
The labelled cars are split by car into `train`, `validation` and `test`;
`unlabeled` are the challenge's own test images.
"""

_CITATION = """
@misc{carvana-image-masking-challenge,
  author = {Brian Shaler and DanGill and Maggie and Mark McDonald and Patricia
            and Will Cukierski},
  title = {Carvana Image Masking Challenge},
  year = {2017},
  publisher = {Kaggle},
  url = {https://www.kaggle.com/c/carvana-image-masking-challenge}
}
"""

_NO_METADATA = {'make': '', 'model': '', 'year': '', 'trim': ''}

# The folders of prepared data whose sources this process has checked, as it
# prepares several sizes of one.
_checked = set()


def preparation(
  data_config: ConfigDict, root: pathlib.Path
) -> spec.Preparation:
  """Finds the challenge's files, and says what it takes to prepare them.

  Args:
    data_config: `config.data`. Where it says so, files that are missing are
      fetched with the Kaggle client.
    root: the folder of all prepared data.

  Raises:
    UserError: files are missing or damaged, or cannot be fetched.
  """
  manual_dir = pathlib.Path(data_config.manual_dir or root / 'manual')
  manual_dir = manual_dir.expanduser()
  if data_config.kaggle:
    kaggle.fetch_if_missing(manual_dir)
  source = archives.find(manual_dir, data_config.unlabeled)
  origin = known_files.Origin(
    manual_dir,
    (source.photos, source.masks, source.test),
    archives.fingerprint(source),
    # The same folder is prepared with and without its unlabeled photos.
    'test' if source.test else '',
  )
  known = known_files.KnownFiles(root, 'carvana', origin)
  return spec.Preparation(
    root / known.folder,
    {'unlabeled': data_config.unlabeled},
    tfds.download.DownloadConfig(manual_dir=manual_dir),
    known.remember,
    lines=(*source.left_out, *known.news),
    train_photos=len(_of_splits(source)['train']),
  )


class Builder(spec.SizedBuilder):
  """Packages the photos of a manual folder; see `archives.py` for its forms.

  A builder config names the size, `HEIGHTxWIDTH`. At the original size photos
  keep their own bytes; at others photo and mask are averaged over areas.
  Every file is checked before anything is written.
  """

  VERSION = tfds.core.Version('1.0.1')
  RELEASE_NOTES = spec.RELEASE_NOTES
  BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own
    tfds.core.BuilderConfig(name=size, description=f'Images of {size} pixels.')
    for size in spec.SIZES
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    f'Accept the rules at {archives.HOMEPAGE}, download its data and put'
    f' {archives.COMPETITION}.zip, or the archives or folders train and'
    ' train_masks and, if wanted, test and metadata.csv, into the folder.'
  )

  # What every photo must measure, as (height, width).
  PHOTO_SIZE = spec.parse_size(spec.ORIGINAL_SIZE)

  def __init__(self, *, unlabeled: bool = True, **kwargs: Any):
    """Constructs the builder.

    Args:
      unlabeled: whether to package the challenge's test images, too, where
        there are any.
      **kwargs: arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    self._unlabeled = unlabeled
    self._source = None  # what was checked and is being packaged
    self._masks = {}  # those of it that were encoded then, by stems
    super().__init__(**kwargs)

  def download_and_prepare(
    self,
    *,
    download_config: tfds.download.DownloadConfig | None = None,
    **kwargs: Any,
  ) -> None:
    """Prepares the data.

    Args:
      download_config: says in `manual_dir` where the files are.
      **kwargs: arguments of the method of `tfds.core.DatasetBuilder`.

    Raises:
      UserError: the files are missing or damaged.
    """
    manual_dir = download_config and download_config.manual_dir
    if manual_dir and not self.data_path.exists():
      # Before TFDS makes folders.
      self._source = self._checked(manual_dir)
    try:
      super().download_and_prepare(download_config=download_config, **kwargs)
    finally:
      self._source = None  # it holds archives open
      self._masks = {}

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.name
    return self.dataset_info_from_configs(
      description=_DESCRIPTION,
      features=spec.features(
        size, 'jpeg' if size == spec.ORIGINAL_SIZE else 'png'
      ),
      homepage=archives.HOMEPAGE,
      citation=_CITATION,
    )

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, spec.Examples]:
    source = self._source or self._checked(_manual_dir(dl_manager))
    splits = _of_splits(source) | {'unlabeled': source.test}
    # TFDS cannot write a split without examples.
    return {
      split: self._generate_examples(
        photos, {} if split == 'unlabeled' else source.masks, source.metadata
      )
      for split, photos in splits.items()
      if photos
    }

  def _checked(self, manual_dir: epath.PathLike) -> archives.Source:
    source = archives.find(manual_dir, self._unlabeled)
    folder = pathlib.Path(self.data_path).parents[2]
    key = (folder, self._unlabeled, archives.fingerprint(source))
    if key not in _checked:
      self._masks = verify.verify_files(
        source, *self.PHOTO_SIZE, self._encode_mask
      )
      _checked.add(key)
    return source

  def _generate_examples(
    self,
    photos: dict[str, File],
    masks: dict[str, File],
    metadata: dict[str, dict[str, str]],
  ) -> spec.Examples:
    """Yields (stem, example) with encoded images, computed on all cores."""

    def example(stem: str) -> tuple[str, dict[str, Any]]:
      car_id, view = spec.parse_photo(stem)
      return stem, {
        'image': self._encode_photo(photos[stem]),
        'mask': self._mask(stem, masks.get(stem)),
        'filename': f'{stem}.jpg',
        'car_id': car_id,
        'view': view,
        'fold': spec.fold_of(car_id),
        **metadata.get(car_id, _NO_METADATA),
      }

    return threads.ordered_map(example, photos)

  def _encode_photo(self, file: File) -> bytes:
    if self.builder_config.name == spec.ORIGINAL_SIZE:
      return file.read()
    photo = images.decode_photo(file.read())
    return images.encode_png(images.reduce(photo, *self._size))

  def _mask(self, stem: str, file: File | None) -> bytes:
    """Returns the reduced mask as a PNG; all zero for a photo without one."""
    if file is None:
      return images.encode_png(np.zeros(self._size, np.uint8))
    return self._masks.get(stem) or self._encode_mask(
      verify.decode_mask(file.read())
    )

  def _encode_mask(self, mask: np.ndarray) -> bytes:
    return images.encode_png(images.reduce(mask, *self._size))

  @property
  def _size(self) -> tuple[int, int]:
    return spec.parse_size(self.builder_config.name)


def _of_splits(source: archives.Source) -> dict[str, dict[str, File]]:
  """Returns the labelled photos of each split, by their stems, in order."""
  splits = {'train': {}, 'validation': {}, 'test': {}}
  for stem, photo in sorted(source.photos.items()):
    splits[spec.split_of(spec.parse_photo(stem).car_id)][stem] = photo
  return splits


def _manual_dir(dl_manager: tfds.download.DownloadManager) -> epath.Path:
  try:
    return dl_manager.manual_dir
  except AssertionError as error:  # the folder is absent or empty
    raise UserError(' '.join(str(error).split())) from error
