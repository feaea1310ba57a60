"""Stand-in."""

import pathlib
from typing import NamedTuple

from etils import epath

from carvana_jax.datasets import file_listing
from carvana_jax.datasets.folder.items import Item


class Layout(NamedTuple):
  items: list[Item]
  text: str
  left_out: tuple[str, ...]


def find(manual_dir: pathlib.Path, mask_ending: str = '') -> Layout:
  listing = file_listing.files_in_folder(
    epath.Path(manual_dir), ('images', 'masks')
  )
  get = lambda name: {
    f.path.stem: f for f in listing.files if name in f.path.parts[:-1]
  }
  photos, masks = get('images'), get('masks')
  names = sorted(photos.keys() | masks.keys())
  items = [
    Item(photos[n].path.name if n in photos else n, photos.get(n), masks.get(n))
    for n in names
  ]
  return Layout(
    items,
    f'{len(photos)} photos in images/, masks in masks/ by equal names',
    (),
  )
