"""The contact sheet: photos, the outlines of their masks, and what is odd."""

import io
import textwrap
from collections.abc import Sequence

import cv2
import numpy as np

from carvana_jax.datasets import images
from carvana_jax.datasets.carvana import verify
from carvana_jax.datasets.diagnosis.pairs import Pair
from carvana_jax.datasets.file_listing import File
from carvana_jax.system import contact_sheet, threads

MOST = 48  # cells
_COLUMNS = 4
_CELL = (267, 400)  # height and width of a picture in pixels, as it is drawn
_LINES, _LETTERS = 3, 52  # of a label
_CAPTION = 'Photos and the outlines of their masks.'
_GREY = 200
_OUTLINE = (255, 0, 160)  # a colour that cars hardly have


def draw(cells: Sequence[tuple[Pair, str]], soft: bool) -> bytes:
  """Draws a sheet of pictures with labels.

  Args:
    cells: the pairs to show and their labels, one to `MOST`.
    soft: whether masks may have values between background and car.

  Returns:
    PNG bytes.
  """
  pictures = threads.ordered_map(lambda cell: _picture(cell[0], soft), cells)
  labels = [
    textwrap.fill(text, _LETTERS, max_lines=_LINES, placeholder='…')
    for _, text in cells
  ]
  page = contact_sheet.sheet(list(pictures), labels, _CAPTION, _COLUMNS)
  return images.encode_png(page)


def _picture(pair: Pair, soft: bool) -> np.ndarray:
  """Draws a photo with its mask's outline, uint8 [h, w, 3]; grey if damaged."""
  picture = np.full((*_CELL, 3), _GREY, np.uint8)
  photo = _read(pair.photo, _photo)
  if photo is not None:
    picture[:] = _fit(photo)
  decode = images.decode_mask if soft else verify.decode_mask
  mask = _read(pair.mask, decode)
  if mask is not None:
    is_car = (_fit(mask) > 127).astype(np.uint8)
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


def _fit(pixels):
  """Resizes photo or mask to a cell, whatever its proportions."""
  return cv2.resize(pixels, _CELL[::-1], interpolation=cv2.INTER_AREA)
