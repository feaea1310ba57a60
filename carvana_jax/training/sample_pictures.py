"""A sample prediction as a picture: input, target, prediction, with titles."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LEAST_WIDTH = 160  # pixels of each picture; smaller ones are enlarged
# A strip has so many letters of its font's height from left to right, so that
# titles can be read where the strip is reduced to a page's column.
_LETTERS = 32
_INK = '#333333'


def strip(
  photo: np.ndarray, target: np.ndarray, predicted: np.ndarray, title: str
) -> np.ndarray:
  """Draws three pictures side by side below a title and their names.

  Args:
    photo: uint8 [H, W, 3].
    target: uint8 [H, W], the true mask.
    predicted: uint8 [H, W], the predicted one.
    title: a line; what is too long for the strip is cut off.

  Returns:
    uint8 [h, w, 3], of the same size for all photos of a size.
  """
  colour = lambda mask: np.repeat(mask[..., None], 3, axis=-1)
  pixels = np.concatenate([photo, colour(target), colour(predicted)], axis=1)
  factor = -(-_LEAST_WIDTH // photo.shape[1])
  pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
  height, width = pixels.shape[:2]
  letter = width // _LETTERS
  line = round(1.3 * letter)
  page = Image.new('RGB', (width, 2 * line + height), 'white')
  draw = ImageDraw.Draw(page)
  font = ImageFont.load_default(letter)
  draw.text((2, 0), title, fill=_INK, font=font)
  for column, name in enumerate(('input', 'target', 'prediction')):
    place = (2 + column * width // 3, line)
    draw.text(place, name, fill=_INK, font=font)
  page.paste(Image.fromarray(pixels), (0, 2 * line))
  return np.asarray(page)
