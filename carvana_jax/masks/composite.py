"""A cut-out car on another background, with a shadow.

Colours are mixed as they are stored (gamma-encoded, as browsers and most
editors do), not in linear light; a shadow darkens them by a factor.
"""

import re

import cv2
import numpy as np
from PIL import ImageColor

from carvana_jax.system.errors import UserError


def parse_colour(text: str) -> tuple[int, int, int]:
  """Reads the name of a colour.

  Args:
    text: 'white', '#00b900', '00b900' or any other colour that Pillow knows.

  Returns:
    Red, green and blue, 0..255.

  Raises:
    UserError: the text names no colour, or one that is not opaque.
  """
  # In a URL, # begins what is not sent.
  is_bare = re.fullmatch('[0-9a-fA-F]{6}', text)
  try:
    colour = ImageColor.getrgb(f'#{text}' if is_bare else text)
  except ValueError as error:
    raise UserError(
      f'{text!r} is no colour; give a name such as white, or rrggbb.'
    ) from error
  if not all(0 <= value <= 255 for value in colour):
    raise UserError(f'{text!r} has values beyond 0..255; give #rrggbb.')
  if len(colour) != 3:
    raise UserError(f'{text!r} has an opacity; give #rrggbb.')
  return colour


def plain_background(
  colour: tuple[int, int, int], height: int, width: int
) -> np.ndarray:
  """Returns a background of one colour.

  Args:
    colour: red, green and blue, 0..255.
    height: of the background, in pixels.
    width: of the background, in pixels.

  Returns:
    uint8 [height, width, 3].
  """
  return np.full((height, width, 3), colour, np.uint8)


def fill_frame(picture: np.ndarray, height: int, width: int) -> np.ndarray:
  """Scales a picture until it fills a frame; what juts out is cut off.

  Args:
    picture: uint8 [H, W, 3].
    height: of the frame, in pixels.
    width: of the frame, in pixels.

  Returns:
    uint8 [height, width, 3], the middle of the picture.
  """
  factor = max(height / picture.shape[0], width / picture.shape[1])
  rows, columns = height / factor, width / factor  # of the picture, in sight
  top = round((picture.shape[0] - rows) / 2)
  left = round((picture.shape[1] - columns) / 2)
  part = picture[
    top : top + max(round(rows), 1), left : left + max(round(columns), 1)
  ]
  # Areas are averaged, so nothing flickers where it gets smaller.
  method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
  return cv2.resize(part, (width, height), interpolation=method)


def compose(
  colours: np.ndarray,
  alpha: np.ndarray,
  background: np.ndarray,
  shadow: np.ndarray,
) -> np.ndarray:
  """Lays the car over a background.

  Args:
    colours: uint8 [H, W, 3], the car's, see `cutout.decontaminate`.
    alpha: uint8 [H, W], the car's opacity, see `cutout.alpha`.
    background: uint8 [H, W, 3].
    shadow: uint8 [H, W], see `shadow.matte`.

  Returns:
    uint8 [H, W, 3], the picture.
  """
  shaded = cv2.multiply(background, cv2.merge([shadow] * 3), scale=1 / 255)
  found = cv2.copyTo(colours, (alpha == 255).view(np.uint8), shaded)
  mixed = (alpha > 0) & (alpha < 255)
  opacity = alpha[mixed, None].astype(np.float32) / 255
  found[mixed] = np.rint(
    opacity * colours[mixed] + (1 - opacity) * shaded[mixed]
  )
  return found
