"""What a folder holds for training, told without a look at any pixel."""

from typing import NamedTuple

from ml_collections import ConfigDict

from carvana_jax.datasets.folder import groups, layouts, splits
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system import files, names_in_messages
from carvana_jax.system.errors import UserError


class Source(NamedTuple):
  """The photos that a data set is made of.

  Attributes:
    items: photos and masks, sorted by name.
    labels: of each item, which object it shows, and from where.
    places: of each item, its split and fold.
    lines: what is said of the folder.
  """

  items: list[Item]
  labels: list[groups.Label]
  places: list[splits.Place]
  lines: tuple[str, ...]


def find(data_config: ConfigDict) -> Source:
  """Finds photos and masks, and shares them among the splits.

  Args:
    data_config: `config.data`, whose `manual_dir` is the folder. Photos without
      a mask are left out unless it has `unlabeled`.

  Returns:
    The photos, of which no pixels are read.

  Raises:
    UserError: no folder is given, or what it holds is unclear.
  """
  layout = find_layout(data_config)
  # Of all photos, as names tell more where there are more of them.
  grouped = groups.assign(layout.items, data_config.groups)
  is_split = data_config.groups != groups.UNSPLIT
  assign = splits.assign if is_split else splits.all_in_test
  assigned = assign(layout.items, grouped.labels)
  rows = [
    row
    for row in zip(layout.items, grouped.labels, assigned.places, strict=True)
    if row[0].mask or data_config.unlabeled
  ]
  lines = [layout.text, *layout.left_out, grouped.text, assigned.text]
  if unused := len(layout.items) - len(rows):
    counted = names_in_messages.counted(unused, 'photo')
    lines.append(
      f'without a mask, so left out: {counted} (for training, '
      '--config.data.unlabeled=True prepares these as well)'
    )
  return Source(*map(list, zip(*rows, strict=True)), tuple(lines))


def find_layout(data_config: ConfigDict) -> layouts.Layout:
  """Finds photos and masks, whatever the objects.

  Args:
    data_config: `config.data`, whose `manual_dir` is the folder.

  Returns:
    All photos and masks, of which no pixels are read.

  Raises:
    UserError: no folder is given, or what it holds is unclear.
  """
  if not data_config.manual_dir:
    raise UserError(
      'config.data.dataset=folder needs the folder of your photos and masks; '
      'set config.data.manual_dir=FOLDER.'
    )
  folder = files.absolute(data_config.manual_dir)
  return layouts.find(folder, data_config.mask_ending)
