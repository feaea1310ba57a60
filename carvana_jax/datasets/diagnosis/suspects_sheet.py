"""The contact sheet: photos, the outlines of their masks, and what is odd."""

import io
import textwrap
from collections.abc import Sequence

import cv2
import numpy as np

from carvana_jax.datasets import decoding, images
from carvana_jax.datasets.carvana import verify
from carvana_jax.datasets.diagnosis.pairs import CAR, Collection, Pair
from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import masks
from carvana_jax.system import contact_sheet, threads

MOST = 48  # cells
_COLUMNS = 4
_CELL = (267, 400)  # height and width of a picture in pixels, as it is drawn
_LINES, _LETTERS = 3, 52  # of a label
_CAPTION = 'Photos and the outlines of their masks.'
_GREY = 200
_OUTLINE = (255, 0, 160)  # a colour that cars hardly have


def draw(cells: Sequence[tuple[Pair, str]], collection: Collection) -> bytes:
  """Draws a sheet of pictures with labels.

  Args:
    cells: the pairs to show and their labels, one to `MOST`.
    collection: that they are of.

  Returns:
    PNG bytes.
  """
  pictures = threads.ordered_map(
    lambda cell: _picture(cell[0], collection), cells
  )
  labels = [
    textwrap.fill(text, _LETTERS, max_lines=_LINES, placeholder='…')
    for _, text in cells
  ]
  page = contact_sheet.sheet(list(pictures), labels, _CAPTION, _COLUMNS)
  return images.encode_png(page)


def _picture(pair: Pair, collection: Collection) -> np.ndarray:
  """Draws a photo with its mask's outline, uint8 [h, w, 3]; grey if damaged."""
  picture = np.full((*_CELL, 3), _GREY, np.uint8)
  is_own = collection.reading is not None
  photo = _read(pair.photo, decoding.decode if is_own else _photo)
  # Cars all have the cell's shape, but for a little.
  fit = _fit if collection.thing == CAR else _fit_inside
  if photo is not None:
    picture[:] = fit(photo, _GREY)
  decode = images.decode_mask if collection.soft else verify.decode_mask
  if is_own:
    decode = lambda data: _own_mask(data, pair, photo, collection)
  mask = _read(pair.mask, decode)
  if mask is not None:
    is_car = (fit(mask, 0) > 127).astype(np.uint8)
    outlines, _ = cv2.findContours(is_car, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, _OUTLINE)
  return picture


def _read(file: File | None, decode):
  """Returns the decoded file; None where it is missing or damaged."""
  try:
    return decode(file.read()) if file else None
  except Exception:  # Pillow's decoders raise all kinds
    return None


def _photo(data):
  with images.opened(io.BytesIO(data)) as image:
    image.draft('RGB', (_CELL[1], _CELL[0]))
    return np.asarray(image.convert('RGB'))


def _own_mask(data, pair, photo, collection):
  orientation = decoding.orientation_of(pair.photo.read())
  size = photo.shape[:2]
  return masks.decode(
    data, collection.reading, size, orientation, collection.resize_masks
  )


def _fit_inside(pixels, around):
  """Resizes photo or mask to lie in a cell, with its own proportions."""
  scale = min(x / y for x, y in zip(_CELL, pixels.shape[:2], strict=True))
  height, width = (max(1, round(scale * x)) for x in pixels.shape[:2])
  cell = np.full((*_CELL, *pixels.shape[2:]), around, np.uint8)
  top, left = (_CELL[0] - height) // 2, (_CELL[1] - width) // 2
  cell[top : top + height, left : left + width] = cv2.resize(
    pixels, (width, height), interpolation=cv2.INTER_AREA
  )
  return cell


def _fit(pixels, around):
  """Resizes photo or mask to a cell, whatever its proportions."""
  del around  # nothing is
  return cv2.resize(pixels, _CELL[::-1], interpolation=cv2.INTER_AREA)
