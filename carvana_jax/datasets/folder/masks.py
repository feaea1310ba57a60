"""How the values of a folder's masks are read, the same way for all of them.

A mask alone may be empty, or full; what its one value means, the others tell.
So all are looked at before any is read.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from carvana_jax.datasets import decoding, images
from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import mask_files, mask_reading, mask_values
from carvana_jax.datasets.folder.items import Item
from carvana_jax.datasets.folder.mask_files import Stored
from carvana_jax.datasets.folder.mask_reading import Reading
from carvana_jax.datasets.folder.mask_values import Survey
from carvana_jax.system import progress, threads
from carvana_jax.system.errors import UserError

_HALF = 128
_SAME_SHAPE = 0.01  # of a side, by which shapes may differ


def survey(items: Sequence[Item], chosen: str) -> Reading:
  """Looks at all masks and decides how they are read.

  Args:
    items: of the folder; those without a mask are passed over, and so are masks
      that cannot be read, which `verify` names.
    chosen: `data.object_values`: which values or colours are the object, '' to
      find out.

  Returns:
    How they are read.

  Raises:
    UserError: there are three or more values and none is chosen, a chosen one
      is not there, all masks hold the same single value, or none can be read.
  """
  files = [item.mask for item in items if item.mask is not None]
  found = progress.bar(
    threads.ordered_map(_look_at, files),
    total=len(files),
    unit=' masks',
    title='reading masks',
  )
  surveys = [x for x in found if isinstance(x, Survey)]
  if not surveys:
    first = next((_look_at(file) for file in files), None)
    raise UserError(first or 'there are no masks: add some.')
  return mask_reading.decide(surveys, chosen)


def decode(
  data: bytes,
  reading: Reading,
  size: tuple[int, int],
  orientation: int,
  resize: bool,
) -> np.ndarray:
  """Decodes a mask for its photo.

  Args:
    data: the file's bytes.
    reading: of all masks of the folder.
    size: (H, W) of the upright photo.
    orientation: of the photo's pixels as they are stored, Exif's 1 to 8.
    resize: whether it may have another size than the photo, but its shape.

  Returns:
    uint8 [H, W], upright: 0 is background, 255 is object.

  Raises:
    ValueError: it cannot be read or does not fit the photo; the message, with
      the remedy, is to be put after the file's name.
  """
  return fit(mask_files.read(data), reading, size, orientation, resize)


def fit(
  stored: Stored,
  reading: Reading,
  size: tuple[int, int],
  orientation: int,
  resize: bool,
) -> np.ndarray:
  """As `decode`, of a mask whose file has been read."""
  levels = _levels(stored, reading)
  levels = _turned(levels, stored.is_turned, size, orientation)
  if levels.shape == size:
    return levels
  return _resized(levels, size, resize, reading)


def _look_at(file: File) -> Survey | str:
  try:
    return mask_values.survey(mask_files.read(file.read()))
  except UserError as error:
    return str(error)
  except ValueError as error:
    return f'{file} {error}.'


def _levels(stored: Stored, reading: Reading) -> np.ndarray:
  """Returns a mask's pixels from 0, background, to 255, object, as stored."""
  is_lossy, pixels, keys = stored.is_lossy, stored.pixels, stored.keys
  if reading.is_alpha and stored.alpha is not None:
    is_lossy, pixels, keys = False, stored.alpha, mask_files.GREYS
  ends = reading.lossy_ends if is_lossy else reading.ends
  if is_lossy and ends is None:
    raise ValueError('mixes values, as JPG does: save it as a PNG')
  if pixels.ndim == 3:
    if ends is None:
      return _of_colours(pixels, reading.objects)
    pixels, keys = mask_values.brightness(pixels, None), mask_files.GREYS
  if keys is None:
    keys = np.arange(1 << 16) * reading.deep_unit
  if ends is None:
    table = np.uint8(255) * np.isin(keys, sorted(reading.objects))
  else:
    share = (mask_files.luminance(keys) - ends[0]) / (ends[1] - ends[0])
    is_soft = reading.is_soft and not is_lossy
    share = share.clip(0, 1) if is_soft else share >= 0.5
    table = np.rint(255 * share).astype(np.uint8)
  return table[pixels] if pixels.dtype == np.uint16 else cv2.LUT(pixels, table)


def _of_colours(pixels: np.ndarray, objects: frozenset[int]) -> np.ndarray:
  is_object = np.zeros(pixels.shape[:2], np.uint8)
  for key in objects:
    colour = mask_files.colour_of(key)
    if colour is not None:
      is_object |= cv2.inRange(pixels, colour, colour)
  return is_object


def _turned(
  levels: np.ndarray, is_turned: bool, size: tuple[int, int], orientation: int
) -> np.ndarray:
  """Returns a mask upright, which may be stored as its photo is."""
  if orientation == 1 or is_turned:
    return levels
  is_across = orientation in decoding.ACROSS
  fits = _have_same_shape(levels.shape, size)
  fits_stored = is_across and _have_same_shape(levels.shape[::-1], size)
  if fits and (fits_stored or not is_across):
    raise ValueError(
      'may be upright or not, as its photo is turned by Exif: save the photo '
      'upright, with its pixels turned'
    )
  return decoding.upright(levels, orientation) if fits_stored else levels


def _resized(
  levels: np.ndarray, size: tuple[int, int], resize: bool, reading: Reading
) -> np.ndarray:
  own = f'has {levels.shape[1]}x{levels.shape[0]} pixels'
  other = f'{size[1]}x{size[0]}'
  if not _have_same_shape(levels.shape, size):
    raise ValueError(
      f'{own}, its photo {other}, which is another shape: bring it to that size'
    )
  if not resize:
    raise ValueError(
      f'{own}, its photo {other}: bring it to that size, or give '
      '--config.data.resize_masks'
    )
  levels = cv2.resize(levels, size[::-1], interpolation=cv2.INTER_LINEAR)
  return levels if reading.is_soft else images.mask_pixels(levels >= _HALF)


def _have_same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
  """Returns whether shapes are the same but for a side's rounding."""
  height = size[1] * other[0] / other[1]
  width = size[0] * other[1] / other[0]
  return (
    abs(size[0] - height) <= max(0.5, _SAME_SHAPE * height)
    or abs(size[1] - width) <= 0.5
  )
