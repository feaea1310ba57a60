"""The facts about a photo and its mask: a few numbers and a thumbnail."""

import hashlib
import io
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from carvana_jax.datasets import decoding, images
from carvana_jax.datasets.carvana import verify
from carvana_jax.datasets.diagnosis import duplicates, mask_fit, same_studio
from carvana_jax.datasets.diagnosis.pairs import Collection, Pair
from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import mask_files, masks
from carvana_jax.system.errors import UserError

_CAR = 128  # the lowest value of a soft mask that is more car than background

T = TypeVar('T')


class PhotoFacts(NamedTuple):
  """What is kept of a photo."""

  digest: bytes  # SHA-256 of the file
  kind: str  # mode and format, such as 'RGB JPEG'
  size: tuple[int, int]  # height, width
  thumbnail: np.ndarray  # uint8 [24, 36], luminance averaged over areas
  colours: np.ndarray  # uint8 [24, 36, 3], RGB, averaged over areas
  complaint: str = ''  # of its decoder, which had to guess
  orientation: int = 1  # of the stored pixels, Exif's; `size` is upright


class MaskFacts(NamedTuple):
  """What is kept of a mask."""

  digest: bytes  # SHA-256 of the pixels
  mode: str
  size: tuple[int, int]  # height, width
  # None where mode or values are not a mask's.
  area: float | None  # 0..1 of all pixels
  box: np.ndarray | None  # top, left, bottom, right, 0..1 of height and width
  fit: mask_fit.Fit | None = None  # None without a photo or a border, too
  complaint: str = ''  # why it is no mask of its photo, and what to do
  # Of the photo beside the mask, see `same_studio.small`; None without one.
  view: np.ndarray | None = None


class Facts(NamedTuple):
  """What is kept of a pair.

  In place of a file's facts, a text says why it can't be read, and None that it
  is missing.
  """

  pair: Pair
  photo: PhotoFacts | str | None
  mask: MaskFacts | str | None


def examine(pair: Pair, collection: Collection) -> Facts:
  """Reads both files of a pair to their ends; damaged ones are no error.

  Args:
    pair: the files.
    collection: that it is of.

  Returns:
    What is kept of them.
  """
  own = collection.reading is not None
  photo, light = _try(read_own_photo if own else read_photo, pair.photo)
  if own:
    known = photo if isinstance(photo, PhotoFacts) else None
    read = lambda data: read_own_mask(data, collection, known)
  else:
    read = lambda data: read_mask(data, collection.soft)
  mask, cover = _try(read, pair.mask)
  if light is not None and cover is not None:
    fit = mask_fit.measure(light, cover)
    mask = mask._replace(fit=fit, view=same_studio.small(light, cover))
  return Facts(pair, photo, mask)


def read_photo(data: bytes) -> tuple[PhotoFacts, np.ndarray]:
  """Reads a photo to its end.

  Args:
    data: the file's bytes.

  Returns:
    What is kept of it, and its luminance, uint8 [H, W]: of a large JPEG a half,
    a quarter or an eighth of its height and width.
  """
  with images.opened(io.BytesIO(data)) as image:
    kind, size = f'{image.mode} {image.format}', (image.height, image.width)
    is_jpeg = image.format == 'JPEG'
    if verify.is_turned(image):
      kind += ', turned by Exif'
    # JPEG decodes a quarter of the pixels much faster, and to the file's end.
    image.draft('L', (mask_fit.SIDE - 1, 1))
    light = image.convert('L')
    thumbnail = light.resize(duplicates.THUMBNAIL[::-1], Image.Resampling.BOX)
  colours = read_colours(data)
  digest = hashlib.sha256(data).digest()
  complaint = images.check_jpeg(data) if is_jpeg else ''
  facts = PhotoFacts(
    digest, kind, size, np.asarray(thumbnail), colours, complaint
  )
  return facts, np.asarray(light)


def read_colours(data: bytes) -> np.ndarray:
  """Returns a photo as stored, but small, uint8 [24, 36, 3], RGB.

  Args:
    data: the file's bytes.
  """
  height, width = duplicates.THUMBNAIL
  with images.opened(io.BytesIO(data)) as image:
    image.draft('RGB', (4 * width, 4 * height))  # much faster for a JPG
    small = image.convert('RGB').resize((width, height), Image.Resampling.BOX)
  return np.asarray(small)


def read_own_photo(data: bytes) -> tuple[PhotoFacts, np.ndarray]:
  """Reads a photo of any format, see `decoding.decode`.

  Args:
    data: the file's bytes.

  Returns:
    What is kept of it, and its luminance, uint8 [H, W], both upright.
  """
  complaints = []
  pixels = decoding.decode(data, complaints.append)
  light = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
  facts = PhotoFacts(
    hashlib.sha256(data).digest(),
    f'RGB {decoding.kind_of(data)}',
    light.shape,
    images.reduce(light, *duplicates.THUMBNAIL),
    images.reduce(pixels, *duplicates.THUMBNAIL),
    ''.join(complaints),
    decoding.orientation_of(data),
  )
  return facts, light


def read_own_mask(
  data: bytes, collection: Collection, photo: PhotoFacts | None
) -> tuple[MaskFacts, np.ndarray | None]:
  """Reads a mask as those of its folder are read.

  Args:
    data: the file's bytes.
    collection: that it is of.
    photo: what is kept of its photo; None: nothing.

  Returns:
    What is kept of it, and its pixels, uint8 [H, W] from 0 to 255, upright;
    None where it does not go with its photo.
  """
  stored = mask_files.read(data)
  size, orientation = stored.pixels.shape[:2], 1
  if photo:
    size, orientation = photo.size, photo.orientation
  try:
    cover = masks.fit(
      stored, collection.reading, size, orientation, collection.resize_masks
    )
  except ValueError as error:
    digest = hashlib.sha256(np.ascontiguousarray(stored.pixels)).digest()
    own = stored.pixels.shape[:2]
    return MaskFacts(digest, 'L', own, None, None, complaint=str(error)), None
  digest = hashlib.sha256(np.ascontiguousarray(cover)).digest()
  area, box = _shape((cover >= _CAR).view(np.uint8))
  return MaskFacts(digest, 'L', cover.shape, area, box), cover


def read_mask(data: bytes, soft: bool) -> tuple[MaskFacts, np.ndarray | None]:
  """Reads a mask to its end.

  Args:
    data: the file's bytes.
    soft: whether it may have values between background and car.

  Returns:
    What is kept of it, and its pixels, uint8 [H, W] from 0 to 255; None where
    mode or values are not a mask's.
  """
  with images.opened(io.BytesIO(data)) as image:
    verify.refuse_animation(image)
    image.load()
    size = image.height, image.width
    area = box = cover = None
    pixels = np.asarray(image)
    if image.mode in verify.MASK_MODES and (soft or verify.is_binary(image)):
      is_car = (pixels >= _CAR) if soft else verify.car_pixels(image)
      area, box = _shape(is_car.view(np.uint8))
      cover = (
        np.uint8(pixels) if soft else is_car.view(np.uint8) * np.uint8(255)
      )
  digest = hashlib.sha256(np.ascontiguousarray(pixels)).digest()
  return MaskFacts(digest, image.mode, size, area, box), cover


def _try(
  read: Callable[[bytes], tuple[T, np.ndarray | None]], file: File | None
) -> tuple[T | str | None, np.ndarray | None]:
  if file is None:
    return None, None
  try:
    return read(file.read())
  except UserError as error:
    return str(error), None
  except UnidentifiedImageError:
    return verify.nature(file), None
  except Exception as error:  # Pillow's decoders raise all kinds
    return ' '.join(str(error).split()), None


def _shape(is_car):
  """Returns the area and the box of uint8 [H, W], 0 or 1."""
  height, width = is_car.shape
  left, top, across, down = cv2.boundingRect(is_car)
  box = np.array([top, left, top + down, left + across], float)
  area = cv2.countNonZero(is_car) / is_car.size
  return area, box / (height, width, height, width)
