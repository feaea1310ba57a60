"""Pictures of single predictions and their errors."""

import cv2
import numpy as np

from carvana_jax.datasets import images

WIDTH = 480  # pixels of photos and errors
# Colours that people who can't tell red from green tell apart.
ADDED, MISSED = (255, 110, 30), (30, 120, 255)
OUTLINE = (255, 0, 160)  # a colour that cars hardly have
_BACKGROUND = (0, 185, 0)  # of cut-outs; hardly a car has that green


def jpeg(pixels: np.ndarray, width: int) -> bytes:
  """Encodes a picture as JPG.

  Args:
    pixels: uint8 [H, W, 3] or [H, W].
    width: the largest width; a wider picture is reduced to it.

  Returns:
    The bytes of the file.
  """
  height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
  if pixels.shape[1] > width:
    pixels = images.reduce(pixels, height, width)
  if pixels.ndim == 3:
    pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
  quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
  return cv2.imencode('.jpg', pixels, quality)[1].tobytes()


def errors(
  photo: np.ndarray, predicted: np.ndarray, actual: np.ndarray
) -> np.ndarray:
  """Paints the errors of a mask over a pale photo.

  Args:
    photo: uint8 [H, W, 3].
    predicted: bool [H, W], the predicted mask.
    actual: bool [H, W], the true mask.

  Returns:
    uint8 [H, W, 3]: orange where background was taken for car, blue where car
    was missed; both are widened, so that a line of one pixel can be seen.
  """
  grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
  grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
  picture = (0.45 * photo + 0.55 * grey).astype(np.uint8)
  reach = max(1, round(photo.shape[1] / WIDTH))
  square = np.ones((reach, reach), np.uint8)
  for wrong, colour in (
    (predicted & ~actual, ADDED),
    (actual & ~predicted, MISSED),
  ):
    picture[cv2.dilate(wrong.view(np.uint8), square) > 0] = colour
  return picture


def outlined(photo: np.ndarray, mask: np.ndarray, width: int) -> np.ndarray:
  """Draws the outline of a mask on a photo.

  Args:
    photo: uint8 [H, W, 3].
    mask: uint8 [H, W], object from 128 on.
    width: of the picture, in pixels. A small photo is enlarged so that each of
      its pixels stays a square, and the outline is thin all the same.

  Returns:
    uint8 [h, width, 3].
  """
  size = width, max(1, round(photo.shape[0] * width / photo.shape[1]))
  smaller = width < photo.shape[1]
  kinds = (
    (cv2.INTER_AREA, cv2.INTER_AREA)
    if smaller
    else (cv2.INTER_NEAREST, cv2.INTER_LINEAR)
  )
  picture, mask = (
    cv2.resize(x, size, interpolation=kind)
    for x, kind in zip((photo, mask), kinds, strict=True)
  )
  is_object = (mask > 127).astype(np.uint8)
  lines, _ = cv2.findContours(is_object, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
  cv2.drawContours(picture, lines, -1, OUTLINE, max(1, round(width / 400)))
  return picture


def cut_out(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Puts what a mask covers on plain green, pixel by pixel.

  Args:
    photo: uint8 [H, W, 3].
    mask: bool [H, W].

  Returns:
    uint8 [H, W, 3].
  """
  background = np.full_like(photo, _BACKGROUND)
  return cv2.copyTo(photo, mask.view(np.uint8), background)
