"""The contact sheet: photos, their masks' outlines, and why they are here."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from carvana_jax.datasets import images, workers
from carvana_jax.datasets.carvana import check
from carvana_jax.datasets.carvana.source import File
from carvana_jax.diagnosis.pairs import Pair

MOST = 48  # cells
_COLUMNS = 6
_CELL = (240, 320)  # height, width of a cell's picture, in pixels
_LINES, _LINE = 3, 17  # of the caption; pixels
_FONT = 13
_GREY, _INK = 200, (20, 20, 20)
_OUTLINE = (255, 0, 160)  # a colour that cars hardly have


def draw(cells: Sequence[tuple[Pair, str]], soft: bool) -> bytes:
  """A sheet of pictures with captions.

  Args:
    cells: what to show, and the caption's text; one to `MOST`.
    soft: whether masks may have values between background and car.

  Returns:
    PNG bytes.
  """
  height, width = _CELL[0] + _LINES * _LINE + 8, _CELL[1] + 8
  columns = min(_COLUMNS, len(cells))
  rows = -(-len(cells) // columns)
  sheet = Image.new('RGB', (columns * width, rows * height), 'white')
  pen = ImageDraw.Draw(sheet)
  pictures = workers.ordered_map(lambda cell: _picture(cell[0], soft), cells)
  for number, (picture, cell) in enumerate(zip(pictures, cells, strict=True)):
    left, top = number % columns * width + 4, number // columns * height + 4
    sheet.paste(Image.fromarray(picture), (left, top))
    for line, text in enumerate(_wrap(cell[1])):
      y = top + _CELL[0] + line * _LINE
      pen.text((left, y), text, fill=_INK, font=_font())
  stream = io.BytesIO()
  sheet.save(stream, 'PNG')
  return stream.getvalue()


def _font():
  return ImageFont.load_default(_FONT)


def _wrap(text):
  """The first lines of a text, each at most as wide as a picture."""
  lines = ['']
  for word in text.split():
    longer = f'{lines[-1]} {word}'.strip()
    if lines[-1] and _font().getlength(longer) > _CELL[1]:
      lines.append(word)
    else:
      lines[-1] = longer
  return lines[:_LINES]


def _picture(pair: Pair, soft: bool) -> np.ndarray:
  """A photo with its mask's outline, uint8 [h, w, 3]; grey if unreadable."""
  picture = np.full((*_CELL, 3), _GREY, np.uint8)
  photo = _read(pair.photo, _photo)
  if photo is not None:
    picture[:] = _fit(photo)
  decode = images.decode_mask if soft else check.decode_mask
  mask = _read(pair.mask, decode)
  if mask is not None:
    is_car = (_fit(mask) > 127).astype(np.uint8)
    outlines, _ = cv2.findContours(is_car, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, _OUTLINE)
  return picture


def _read(file: File | None, decode):
  """The decoded file; None where it is missing or damaged."""
  try:
    return decode(file.read()) if file else None
  except Exception:  # Pillow's decoders raise all kinds
    return None


def _photo(data):
  with Image.open(io.BytesIO(data)) as image:
    image.draft('RGB', (_CELL[1], _CELL[0]))
    return np.asarray(image.convert('RGB'))


def _fit(pixels):
  """Resized to a cell, the two alike, whatever their proportions."""
  return cv2.resize(pixels, _CELL[::-1], interpolation=cv2.INTER_AREA)
