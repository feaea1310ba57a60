"""Pictures side by side on a sheet, each with its label."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

# All lengths are pixels.
_WIDTH = 1600  # of a sheet without its gaps
_GAP = 8
_FONT, _LINE = 15, 20  # heights of a letter and of a line
_INK = '#333333'


def sheet(
  tiles: Sequence[np.ndarray],
  labels: Sequence[str],
  caption: str,
  columns: int | None = None,
) -> np.ndarray:
  """Draws tiles in rows under a caption, each tile below its label.

  Args:
    tiles: at least one picture, uint8 [h, w, 3] each; they may differ in size,
      and all are drawn with the aspect ratio of the first one.
    labels: the label of each tile, one or more lines.
    caption: what stands above all tiles, one or more lines.
    columns: how many tiles a row has; None for as many as fill the rows.

  Returns:
    The sheet, uint8 [H, W, 3].
  """
  columns = columns or _columns(len(tiles))
  rows = -(-len(tiles) // columns)
  width = _WIDTH // max(columns, 2)
  height = round(width * tiles[0].shape[0] / tiles[0].shape[1])
  header = 2 * _GAP + _text_height(caption)
  label_height = max(map(_text_height, labels))
  step = (width + _GAP, height + label_height + _GAP)
  size = (_GAP + columns * step[0], header + rows * step[1])
  page = Image.new('RGB', size, 'white')
  draw = ImageDraw.Draw(page)
  style = {'fill': _INK, 'font': ImageFont.load_default(_FONT), 'spacing': 2}
  draw.text((_GAP, _GAP), caption, **style)
  for i, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
    row, column = divmod(i, columns)
    x, y = _GAP + column * step[0], header + row * step[1]
    draw.text((x, y), label, **style)
    # By area, so that an enlarged pixel stays a square.
    tile = cv2.resize(tile, (width, height), interpolation=cv2.INTER_AREA)
    page.paste(Image.fromarray(tile), (x, y + label_height))
  return np.asarray(page)


def _columns(count):
  """Returns one row for few tiles, full rows for 8, 16, 32 and 64."""
  return count if count < 4 else 2 ** math.ceil(math.log2(count) / 2)


def _text_height(text):
  return _LINE * len(text.splitlines())
