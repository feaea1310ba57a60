"""Shows that a folder's layout changes neither its splits nor its scores.

    python -m benchmarks.layouts --manual_dir=FOLDER --workdir=RUN

Photos and masks of a Kaggle-style folder are arranged as users have theirs, in
nine ways, and a trained network is scored on each as `evaluate` does it. Where
photos keep their pixels, every figure is to be that of the data set `carvana`;
two of the ways change the size of photos.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('manual_dir', None, 'Kaggle-style folder.', required=True)
  flags.DEFINE_string('workdir', None, 'Folder of a run.', required=True)
  flags.DEFINE_integer('cars', 2, 'Of each split, at most.', lower_bound=1)
  cli.parse()

import collections
import csv
import io
import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from carvana_jax.datasets import images, spec
from carvana_jax.datasets.carvana import archives, verify
from carvana_jax.datasets.folder import source
from carvana_jax.datasets.names import FULL_SIZES
from carvana_jax.evaluation import evaluate_run
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import files
from carvana_jax.training import trained_run

SPLITS = ('train', 'validation', 'test')
_ROW = '{:<22}{:>7}' + '{:>17}' * len(SPLITS)


class Pair(NamedTuple):
  """A photo of the challenge, and its mask."""

  car: str
  view: int
  photo: bytes
  mask: bytes

  @property
  def stem(self) -> str:
    """The photo's name without ending."""
    return spec.photo_name(self.car, self.view)

  @property
  def split(self) -> str:
    """Which split it belongs to."""
    return spec.split_of(self.car)

  def pixels(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns photo, uint8 [H, W, 3], and mask, uint8 [H, W] of 0 and 255."""
    return images.decode_photo(self.photo), verify.decode_mask(self.mask)


# What a layout makes of a photo: (path, bytes) of each file.
Files = Iterator[tuple[str, bytes]]


def _kaggle(pair: Pair) -> Files:
  yield f'train/{pair.stem}.jpg', pair.photo
  yield f'train_masks/{pair.stem}_mask.gif', pair.mask


def _milesial(pair: Pair) -> Files:
  yield f'data/imgs/{pair.stem}.jpg', pair.photo
  yield f'data/masks/{pair.stem}_mask.gif', pair.mask


def _nnunet(pair: Pair) -> Files:
  photo, mask = pair.pixels()
  yield f'Dataset1/imagesTr/{pair.stem}_0000.png', images.encode_png(photo)
  yield f'Dataset1/labelsTr/{pair.stem}.png', images.encode_png(mask // 255)


def _portrait(pair: Pair) -> Files:
  """Photos on canvases of 4:3, their edges repeated, masks as opacity."""
  photo, mask = pair.pixels()
  high = -(-mask.shape[1] * 4 // 3) - mask.shape[0]
  margins = high // 2, high - high // 2, 0, 0
  photo = cv2.copyMakeBorder(photo, *margins, cv2.BORDER_REPLICATE)
  mask = cv2.copyMakeBorder(mask, *margins, cv2.BORDER_REPLICATE)
  yield f'{pair.stem}.tif', _saved(photo, 'TIFF')
  yield f'{pair.stem}-matte.tif', _saved(np.dstack([photo, mask]), 'TIFF')


def _mixed(pair: Pair) -> Files:
  """Every other photo at half its size."""
  photo, mask = pair.pixels()
  if pair.view % 2:
    half = [length // 2 for length in mask.shape]
    photo, mask = images.reduce(photo, *half), images.reduce(mask, *half)
    mask = images.mask_pixels(mask > 127)
  yield f'{pair.stem}.png', images.encode_png(photo)
  yield f'{pair.stem}_seg.png', images.encode_png(mask)


def _hostile(pair: Pair) -> Files:
  """Names that programs stumble over, in the splits' own folders."""
  name = f'-é [{pair.car}] 100%, #1.jpg ({pair.view})'
  folder = {'validation': 'val'}.get(pair.split, pair.split)
  yield f'{folder}/IMAGES/{name}.JPG', pair.photo
  yield f'{folder}/GT masks/{name}.GIF', pair.mask


def _nested(pair: Pair) -> Files:
  _, mask = pair.pixels()
  bits = Image.fromarray(mask).convert('1')
  yield f'{pair.car}/{pair.view}.jpg', pair.photo
  yield f'{pair.car}/{pair.view}.alpha.png', _saved(bits, 'PNG')


def _table(pair: Pair) -> Files:
  """Names that say nothing, and a table that says all, see `arrange`."""
  name = f'{pair.view:02d} {int(pair.car, 16) % 10**6:06d}x'
  yield f'a/{name}.jpg', pair.photo
  yield f'b/{name[::-1]}.gif', pair.mask


# Each with what it is told beside the folder.
LAYOUTS: dict[str, Callable[[Pair], Files]] = {
  "Kaggle's": _kaggle,
  "milesial's": _milesial,
  'nnU-Net, PNG, 0 and 1': _nnunet,
  'side by side, nested': _nested,
  'own splits, odd names': _hostile,
  'own splits in a ZIP': _hostile,
  'a table': _table,
  'sizes mixed': _mixed,
  'portrait TIFF, RGBA': _portrait,
}
CHANGED = ('sizes mixed', 'portrait TIFF, RGBA')  # other pixels, other scores


def arrange(layout: str, pairs: Sequence[Pair], folder: pathlib.Path) -> None:
  """Writes photos and masks into a new folder in one of the `LAYOUTS`."""
  rows = []
  for pair in pairs:
    made = list(LAYOUTS[layout](pair))
    rows.append([*(path for path, _ in made), pair.car, pair.split])
    for path, data in made:
      target = folder / path
      target.parent.mkdir(parents=True, exist_ok=True)
      target.write_bytes(data)
  if layout == 'a table':
    with open(folder / 'photos.csv', 'w', newline='') as file:
      csv.writer(file).writerows([['photo', 'mask', 'group', 'split'], *rows])
  if layout == 'own splits in a ZIP':
    packed = folder.with_suffix('.tmp')
    folder.rename(packed)
    folder.mkdir()
    with zipfile.ZipFile(folder / 'export.zip', 'w') as archive:
      for path in sorted(x for x in packed.rglob('*') if x.is_file()):
        archive.write(path, path.relative_to(packed))
    shutil.rmtree(packed)


def pairs_of(manual_dir: pathlib.Path, most: int) -> list[Pair]:
  """Returns the photos of the first cars of each split."""
  found = archives.find(manual_dir, unlabeled=False)
  cars = collections.defaultdict(list)
  for car in sorted({spec.parse_photo(stem).car_id for stem in found.photos}):
    cars[spec.split_of(car)].append(car)
  chosen = {car for split in SPLITS for car in cars[split][:most]}
  return [
    Pair(*spec.parse_photo(stem), photo.read(), found.masks[stem].read())
    for stem, photo in sorted(found.photos.items())
    if spec.parse_photo(stem).car_id in chosen
  ]


def split_sizes(data_config) -> dict[str, int]:
  """Returns how many photos of a folder each split has."""
  places = source.find(data_config).places
  return dict(collections.Counter(place.split for place in places))


def _saved(pixels, kind):
  if isinstance(pixels, np.ndarray):
    pixels = Image.fromarray(pixels)
  stream = io.BytesIO()
  pixels.save(stream, kind)
  return stream.getvalue()


def _scores(run, dataset: str, folder: pathlib.Path) -> dict[str, float]:
  """Returns the mean Dice of each split."""
  data_config = run.config.data.copy_and_resolve_references()
  data_config.dataset, data_config.manual_dir = dataset, str(folder)
  data_config.full_size = FULL_SIZES[dataset]
  data_config.data_dir = str(folder.parent / 'data')
  return {
    split: evaluate_run.evaluate(
      run, data_config, split, folder.parent / f'{folder.name} scores'
    )['dice_mean']
    for split in SPLITS
  }


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  devices.use_all_cores()
  compilation_cache.use()
  run = trained_run.load(files.absolute(args.workdir))
  run.config.data.fit = 'pad'  # as portrait photos are to keep their shape
  pairs = pairs_of(files.absolute(args.manual_dir), args.cars)
  rows = []
  with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    arrange("Kaggle's", pairs, root / 'kaggle')
    expected = _scores(run, 'carvana', root / 'kaggle')
    rows.append(_row('the data set carvana', len(pairs), expected))
    for number, layout in enumerate(LAYOUTS):
      folder = root / f'{number}'
      arrange(layout, pairs, folder)
      found = _scores(run, 'folder', folder)
      rows.append(_row(layout, len(pairs), found, expected))
      shutil.rmtree(folder)
  print(_ROW.format('mean Dice', 'photos', *SPLITS))
  print('\n'.join(rows))


def _row(name, photos, found, expected=None):
  cells = [
    f'{found[split]:.7f}'
    + ('' if expected is None or found[split] == expected[split] else ' *')
    for split in SPLITS
  ]
  return _ROW.format(name, photos, *cells)


if __name__ == '__main__':
  cli.run(main)
