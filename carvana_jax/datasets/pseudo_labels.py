"""A network's probabilities as soft masks of photos that have no mask.

Pseudo-labels (Lee 2013) that stay soft, as in Noisy Student (Xie et al. 2020).
Their files are what `predict --save_probabilities` writes: NAME_probability.png
of the photo's own size, grey, 0..255 for a probability of 0..1.
"""

import collections
import dataclasses
import hashlib
import io
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from carvana_jax.datasets import fitting, images, reading, spec
from carvana_jax.datasets.names import PROBABILITY_ENDING, is_own
from carvana_jax.system import files, threads, zip_archives
from carvana_jax.system.errors import UserError

SPLIT = 'unlabeled'  # of the data set, whose own masks are all zero


@dataclasses.dataclass(frozen=True)
class PseudoLabels:
  """The masks of those examples of the split that have a file.

  Attributes:
    positions: int64 [N], of the examples in the split.
    files: N files, of the same examples.
    size: (h, w) of what the network sees.
    fit: how photos are brought to it, see `fitting`.
    fingerprint: as of `fingerprint_of`.
  """

  positions: np.ndarray
  files: list[pathlib.Path]
  size: tuple[int, int]
  fit: str
  fingerprint: str

  def __len__(self) -> int:
    return len(self.files)

  def mask(self, number: int) -> np.ndarray:
    """Returns the reduced mask, uint8 [h, w], of example `number` in 0..N-1."""
    probability = images.decode_mask(self.files[number].read_bytes())
    part = fitting.place(probability.shape, self.size, self.fit)
    return fitting.reduce(probability, self.size, part)


def find(
  text: str, builder: tfds.core.DatasetBuilder, fit: str = 'stretch'
) -> PseudoLabels:
  """Finds the files of a data set's unlabeled photos, and checks them all.

  Args:
    text: `config.data.pseudo_labels`, a folder whose files may be in
      sub-folders; files of other photos are passed over.
    builder: the prepared data set that the network is trained on.
    fit: how its photos were brought to its size.

  Returns:
    The masks of those unlabeled photos that have a file.

  Raises:
    UserError: the folder or the unlabeled photos are missing, no photo has a
      file or one has two, or a file is damaged. Where all photos are of one
      size, so must be the files, which may not be smaller than what the network
      sees.
  """
  folder = files.expand(text)
  if not folder.is_dir():
    raise UserError(
      f'config.data.pseudo_labels={text} is no folder; make it with '
      'predict --save_probabilities.'
    )
  by_position = _by_position(folder, list(_file_names(builder)))
  if not by_position:
    raise UserError(
      f'{folder} holds no NAME{PROBABILITY_ENDING} of an unlabeled photo; make '
      'them with predict --save_probabilities from these photos.'
    )
  paths = list(by_position.values())
  network_size = builder.info.features['mask'].shape[:2]
  least = None if is_own(builder.name) else network_size
  digests = _check(paths, least)
  return PseudoLabels(
    positions=np.array(list(by_position), np.int64),
    files=paths,
    size=network_size,
    fit=fit,
    fingerprint=_joined(paths, digests),
  )


def _by_position(folder, names):
  """Returns the files of photos, given the files' names with folders."""
  there = _by_name(folder)
  own = {folder / name for name in names}
  found = {}
  for position, name in enumerate(names):
    place = folder / name
    paths = [
      path
      for path in there.get(place.name, ())
      if path.as_posix().endswith(f'/{name}')
      and (path == place or path not in own)
    ]
    if paths:
      found[position] = _only_one(paths)
  return found


def _by_name(folder):
  """Returns the paths of the files of each name, wherever in a folder."""
  found = collections.defaultdict(list)
  for path in sorted(folder.rglob(f'*{PROBABILITY_ENDING}')):
    if not zip_archives.is_litter(path.relative_to(folder).parts):
      found[path.name].append(path)
  return found


def _only_one(paths):
  if len(paths) > 1:
    raise UserError(f'{paths[0]} and {paths[1]} have one name; remove one.')
  return paths[0]


def refuse_none(builder: tfds.core.DatasetBuilder) -> None:
  """Raises a `UserError` where a data set has no unlabeled photo."""
  if SPLIT not in builder.info.splits:
    photos = (
      'photos without masks'
      if is_own(builder.name)
      else "the challenge's test photos"
    )
    raise UserError(
      f'{builder.info.full_name} has no photo in its {SPLIT} split; add '
      f'{photos} to the folder or unset config.data.pseudo_labels.'
    )


def _file_names(builder):
  """Yields the names of the photos' files, in the order of the split."""
  refuse_none(builder)
  for row in reading.undecoded_examples(builder, SPLIT):
    yield spec.stem_of(row['filename'].decode()) + PROBABILITY_ENDING


def fingerprint_of(paths: Sequence[pathlib.Path]) -> str:
  """Returns what tells files from others.

  Args:
    paths: the files.

  Returns:
    8 hexadecimal digits that follow from their names and sizes, a hyphen, and 8
    that follow from their contents.
  """
  digests = threads.ordered_map(lambda x: _digest(x.read_bytes()), paths)
  return _joined(paths, digests)


def _joined(paths, digests):
  sizes = sorted((path.name, path.stat().st_size) for path in paths)
  contents = sorted(zip((path.name for path in paths), digests, strict=True))
  marks = [_digest(json.dumps(x).encode())[:8] for x in (sizes, contents)]
  return '-'.join(marks)


def _digest(content):
  return hashlib.sha256(content).hexdigest()


def _check(paths, least):
  """Refuses damaged files early, as they would end a run in its middle.

  Args:
    paths: the files.
    least: (h, w), the least that is allowed, where all must be of one size;
      None: any sizes.

  Returns:
    The files' digests.
  """
  looks = list(threads.ordered_map(_look, paths))
  digests = [digest for _, digest in looks]
  if least is None:
    return digests
  sizes = [size for size, _ in looks]
  ((usual, _),) = collections.Counter(sizes).most_common(1)
  for path, size in zip(paths, sizes, strict=True):
    if size != usual:
      raise UserError(
        f'{path} has {size[0]}x{size[1]} pixels, but most others have '
        f'{usual[0]}x{usual[1]}; make it again or remove it.'
      )
  if usual[0] < least[0] or usual[1] < least[1]:
    raise UserError(
      f'{paths[0]} has {usual[0]}x{usual[1]} pixels, fewer than the network '
      f'sees ({least[0]}x{least[1]}); make them again from the '
      'photos.'
    )
  return digests


def _look(path):
  """Returns (H, W) of a file, whose checksums it compares, and its digest."""
  try:
    content = path.read_bytes()
    image = images.opened(io.BytesIO(content), ['PNG'])
    if image.mode != 'L':
      raise ValueError('not one channel of 8 bits')
    image.verify()  # fifty times as fast as decoding
    return (image.height, image.width), _digest(content)
  except Exception as error:  # Pillow's decoders raise all kinds
    raise UserError(
      f'{path} is damaged or no grey PNG of 8 bits; make it again or remove it.'
    ) from error
