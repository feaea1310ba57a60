"""The sizes of photos, as their headers tell them."""

from collections.abc import Iterable

from carvana_jax.datasets import decoding
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system import threads
from carvana_jax.system.errors import UserError


def of(items: Iterable[Item]) -> list[tuple[int, int]]:
  """Reads the sizes of photos, without decoding any.

  Args:
    items: of a folder. Photos that cannot be read are passed over, as
      `verify.check` names them.

  Returns:
    (H, W) of each photo, upright.

  Raises:
    UserError: none can be read; it names the first.
  """
  photos = [item.photo for item in items if item.photo]
  found = list(threads.ordered_map(_size, photos))
  sizes = [size for size in found if not isinstance(size, str)]
  if not sizes:
    reason = found[0] if found else 'the folder has no photos: add some.'
    raise UserError(reason)
  return sizes


def _size(photo):
  """Returns (H, W), or what is wrong with the file."""
  try:
    photo.refuse_locked()
    with photo.open() as stream:
      return decoding.size_of(stream)
  except UserError as error:
    return str(error)
  except ValueError as error:
    return f'{photo} {error}: replace or remove it.'
