"""The word on the studio's wall, as a signed distance texture."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

THIN, BOLD = 'TURN', 'TABLE'
ROWS = 160
WIDTH_TO_HEIGHT = 11.6 / 1.62  # of the lettering on the wall


@functools.cache
def texture() -> np.ndarray:
  """Returns distances to the letters' edge in texels, float32 [ROWS, columns].

  They are negative inside the letters. A distance, not a picture, stays sharp
  at any size of the photo, and shifting it makes thin and bold letters from one
  font.
  """
  columns = round(ROWS * WIDTH_TO_HEIGHT)
  font = ImageFont.load_default(220)
  word = THIN + BOLD
  advance = [font.getlength(letter) + 26 for letter in word]
  canvas = Image.new('L', (int(sum(advance)) + 60, 300))
  draw = ImageDraw.Draw(canvas)
  x, split = 30.0, 0
  for i, letter in enumerate(word):
    if i == len(THIN):
      split = x - 13
    draw.text((x, 20), letter, font=font, fill=255)
    x += advance[i]
  left, top, right, bottom = canvas.getbbox()
  ink = np.asarray(canvas)[top - 12 : bottom + 12, left - 12 : right + 12] > 127
  distance = ndimage.distance_transform_edt(
    ~ink
  ) - ndimage.distance_transform_edt(ink)
  thin = np.arange(distance.shape[1]) < split - left + 12
  distance = distance + np.where(thin, 3.5, -6.0)
  scale = ROWS / distance.shape[0]
  small = Image.fromarray(distance.astype(np.float32)).resize(
    (columns, ROWS), Image.Resampling.BILINEAR
  )
  return np.asarray(small, np.float32) * scale
