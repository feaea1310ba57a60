"""Pictures in whatever form a caller has them -> pixels."""

import os
import warnings

import numpy as np
from PIL import Image

from carvana_jax.datasets import decoding
from carvana_jax.masks import composite
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# A path, a file's bytes, one of Pillow's images, or uint8 [H, W, 3], sRGB.
Picture = str | os.PathLike | bytes | Image.Image | np.ndarray


def pixels(picture: Picture, name: str = 'the photo') -> np.ndarray:
  """Returns a picture as viewers show it, see `decoding.decode`.

  Args:
    picture: the picture.
    name: what errors call it if it is no path.

  Returns:
    uint8 [H, W, 3], sRGB, upright.

  Raises:
    UserError: it can't be read, is damaged, or of another kind.
  """
  if isinstance(picture, np.ndarray):
    return _checked(picture, name)
  complaints = []
  try:
    if isinstance(picture, Image.Image):
      return decoding.of_image(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
      data = bytes(picture)
    elif isinstance(picture, str | os.PathLike):
      name = str(picture)
      data = _read(picture)
    else:
      raise UserError(
        f'{name} is a {type(picture).__name__}; give a path, the bytes of a '
        "file, one of Pillow's images or an array."
      )
    decoded = decoding.decode(data, complaints.append)
  except ValueError as error:
    raise UserError(f'{name} {error}; give another.') from error
  for complaint in complaints:
    warnings.warn(f'{name} may look wrong in parts ({complaint})', stacklevel=3)
  return decoded


def background(picture: Picture) -> np.ndarray:
  """As `pixels`, of what a composite shows behind; a colour's name will do.

  Args:
    picture: a picture; or a colour, see `composite.parse_colour`, which is a
      picture of one pixel.
  """
  if not isinstance(picture, str) or files.expand(picture).is_file():
    return pixels(picture, 'the background')
  try:
    return composite.plain_background(composite.parse_colour(picture), 1, 1)
  except UserError as error:
    raise UserError(f'{error} No such file is there.') from error


def _read(path):
  if not os.fspath(path):
    raise UserError('the path of a picture is empty; give another.')
  path = files.expand(path)
  try:
    return path.read_bytes()
  except OSError as error:
    raise UserError(
      f'{path} cannot be read ({error.strerror}); give another.'
    ) from error


def _checked(array, name):
  if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
    raise UserError(
      f'{name} is {array.dtype} {list(array.shape)}; give uint8 '
      '[height, width, 3], RGB.'
    )
  if not array.size:
    raise UserError(f'{name} has no pixels; give another.')
  return np.ascontiguousarray(array)
