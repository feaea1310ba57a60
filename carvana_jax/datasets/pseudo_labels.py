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

from carvana_jax.datasets import images, reading
from carvana_jax.datasets.names import PROBABILITY_ENDING
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
    fingerprint: as of `fingerprint_of`.
  """

  positions: np.ndarray
  files: list[pathlib.Path]
  size: tuple[int, int]
  fingerprint: str

  def __len__(self) -> int:
    return len(self.files)

  def mask(self, number: int) -> np.ndarray:
    """Returns the reduced mask, uint8 [h, w], of example `number` in 0..N-1."""
    probability = images.decode_mask(self.files[number].read_bytes())
    return images.reduce(probability, *self.size)


def find(text: str, builder: tfds.core.DatasetBuilder) -> PseudoLabels:
  """Finds the files of a data set's unlabeled photos, and checks them all.

  Args:
    text: `config.data.pseudo_labels`, a folder whose files may be in
      sub-folders; files of other photos are passed over.
    builder: the prepared data set that the network is trained on.

  Returns:
    The masks of those unlabeled photos that have a file.

  Raises:
    UserError: the folder or the unlabeled photos are missing, no photo has a
      file or one has two, or a file is damaged, differs in size from most
      others or is smaller than what the network sees.
  """
  folder = files.expand(text)
  if not folder.is_dir():
    raise UserError(
      f'config.data.pseudo_labels={text} is no folder; make it with '
      'predict --save_probabilities.'
    )
  there = _by_name(folder)
  by_position = {
    position: _only_one(there[name])
    for position, name in enumerate(_file_names(builder))
    if name in there
  }
  if not by_position:
    raise UserError(
      f'{folder} holds no NAME{PROBABILITY_ENDING} of an unlabeled photo; make '
      'them with predict --save_probabilities from these photos.'
    )
  paths = list(by_position.values())
  network_size = builder.info.features['mask'].shape[:2]
  digests = _check(paths, network_size)
  return PseudoLabels(
    positions=np.array(list(by_position), np.int64),
    files=paths,
    size=network_size,
    fingerprint=_joined(paths, digests),
  )


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
    raise UserError(
      f'{builder.info.full_name} has no photo in its {SPLIT} split; add the '
      "challenge's test photos to the folder or unset "
      'config.data.pseudo_labels.'
    )


def _file_names(builder):
  """Yields the names of the photos' files, in the order of the split."""
  refuse_none(builder)
  for row in reading.undecoded_examples(builder, SPLIT):
    yield pathlib.Path(row['filename'].decode()).stem + PROBABILITY_ENDING


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


def _check(paths, network_size):
  """Refuses damaged files early, as they would end a run in its middle.

  Returns:
    The files' digests.
  """
  looks = list(threads.ordered_map(_look, paths))
  sizes = [size for size, _ in looks]
  ((usual, _),) = collections.Counter(sizes).most_common(1)
  for path, size in zip(paths, sizes, strict=True):
    if size != usual:
      raise UserError(
        f'{path} has {size[0]}x{size[1]} pixels, but most others have '
        f'{usual[0]}x{usual[1]}; make it again or remove it.'
      )
  if usual[0] < network_size[0] or usual[1] < network_size[1]:
    raise UserError(
      f'{paths[0]} has {usual[0]}x{usual[1]} pixels, fewer than the network '
      f'sees ({network_size[0]}x{network_size[1]}); make them again from the '
      'photos.'
    )
  return [digest for _, digest in looks]


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
