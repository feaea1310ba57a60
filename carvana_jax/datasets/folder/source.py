"""What a folder holds for training, told without a look at any pixel."""

from typing import NamedTuple

from ml_collections import ConfigDict

from carvana_jax.datasets.folder import groups, layouts, splits
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system import files
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
  if not data_config.manual_dir:
    raise UserError(
      'config.data.dataset=folder needs the folder of your photos and masks; '
      'set config.data.manual_dir=FOLDER.'
    )
  folder = files.absolute(data_config.manual_dir)
  layout = layouts.find(folder, data_config.mask_ending)
  items = [x for x in layout.items if x.mask or data_config.unlabeled]
  lines = [layout.text, *layout.left_out]
  if unused := len(layout.items) - len(items):
    what = 'photos without a mask are' if unused > 1 else 'photo without a mask is'
    lines.append(
      f'{unused} {what} left out; config.data.unlabeled=True prepares '
      f'{"them" if unused > 1 else "it"} as well'
    )
  grouped = groups.assign(items, data_config.groups)
  assigned = splits.assign(items, grouped.labels)
  lines += [grouped.text, assigned.text]
  return Source(items, grouped.labels, assigned.places, tuple(lines))
