"""Checks every file before anything is written.

Each problem is one line that names the file and the remedy, so that nobody
learns of a broken photo after an hour of packaging, or from a low score.
"""

import collections
import io
import struct
import sys
from collections.abc import Callable

import numpy as np
from absl import logging
from PIL import Image, UnidentifiedImageError

from carvana_jax.datasets import images, spec
from carvana_jax.datasets.carvana.archives import Source
from carvana_jax.datasets.file_listing import File
from carvana_jax.system import progress, threads
from carvana_jax.system.errors import UserError, raise_first

MASK_MODES = ('1', 'L', 'P')  # Pillow's, of one channel of at most 8 bits

_ORIENTATION = 274  # Exif's tag; 1 is upright, 2 to 8 are not
_HALF_WHITE = 3 * 128  # red, green and blue together
_CARS_NAMED = 5  # in the warning about incomplete cars
_REMEDY = 'download it again or remove it.'


class UnfitError(ValueError):
  """An image is whole, but not what is needed; `remedy` says what to do."""

  def __init__(self, what: str, remedy: str):
    super().__init__(what)
    self.remedy = remedy


def verify_files(
  source: Source,
  height: int,
  width: int,
  encode: Callable[[np.ndarray], bytes],
) -> dict[str, bytes]:
  """Reads every file, on all cores, and warns of cars that lack views.

  Args:
    source: the files.
    height: that photos and masks must have, in pixels.
    width: that photos and masks must have, in pixels.
    encode: makes what is kept of a mask's pixels, see `decode_mask`: to check
      a mask takes as long as to decode it once more.

  Returns:
    What is kept of the masks, by their stems.

  Raises:
    UserError: a photo has no mask or a mask no photo, or a file is unreadable,
      has another size or, being a mask, values other than 0 and 1 (or 0 and
      255). It names the first such file and counts the others.
  """
  raise_first(_unpaired(source))
  kept = {}
  raise_first(_broken(source, height, width, encode, kept))
  _warn_of_incomplete_cars(source)
  return kept


def decode_mask(data: bytes) -> np.ndarray:
  """Decodes a mask, GIF or PNG.

  Of two colours of a palette the brighter one is car, as a viewer shows it.

  Args:
    data: the file's bytes.

  Returns:
    uint8 [H, W], 0 or 255.

  Raises:
    ValueError: it has several frames or channels, or values other than 0 and 1
      (or 0 and 255).
    OSError: it cannot be decoded.
  """
  with images.opened(io.BytesIO(data)) as image:
    return _decoded_mask(image)


def _decoded_mask(image):
  """As `decode_mask`, of an image of which only the header is read."""
  _check_values(image)
  return images.mask_pixels(car_pixels(image))


def car_pixels(mask: Image.Image) -> np.ndarray:
  """Returns where a mask with right values shows car, bool [H, W]."""
  values = np.asarray(mask)
  return values == 0 if _is_white_at_0(mask, values.max()) else values != 0


def _is_white_at_0(mask, other):
  """Returns whether the value 0 stands for car, by the colours of a palette.

  Args:
    mask: a mask with right values.
    other: the largest of them; 0 where there is no other.
  """
  if mask.mode != 'P':
    return False
  colours = [*mask.getpalette(), *3 * 256 * [0]]  # Pillow leaves zeros out
  brightness = lambda value: sum(colours[3 * value : 3 * value + 3])
  # A mask of one colour is full where it is white.
  return brightness(0) > (brightness(int(other)) if other else _HALF_WHITE)


def _check_values(image: Image.Image) -> None:
  """Decodes a mask, and raises what `decode_mask` does."""
  if image.mode not in MASK_MODES:
    what = f'the mode is {image.mode}, not one channel of 8 bits'
    raise UnfitError(what, 'save it in black and white')
  refuse_animation(image)
  if not is_binary(image):
    what = 'there are values other than 0 and 1 (or 0 and 255)'
    raise UnfitError(what, 'save it in black and white, without grey')


def refuse_animation(mask: Image.Image) -> None:
  """Raises a `ValueError` where an image has several frames."""
  if getattr(mask, 'is_animated', False):
    raise ValueError('there are several frames')


def is_binary(mask: Image.Image) -> bool:
  """Returns whether a mask of one channel holds only 0 and 1, or 0 and 255."""
  counts = mask.histogram()  # much faster than NumPy on the pixels
  present = {value for value, count in enumerate(counts) if count}
  return present <= {0, 1} or present <= {0, 255}


def is_turned(photo: Image.Image) -> bool:
  """Returns whether viewers turn or mirror a photo, as its Exif tells them."""
  try:
    return photo.getexif().get(_ORIENTATION) in range(2, 9)
  except (OSError, SyntaxError, ValueError, struct.error):  # damaged Exif
    return False


def nature(file: File) -> str:
  """Returns a word for a file that Pillow does not know."""
  return 'not an image' if file.size else 'empty'


def _unpaired(source: Source) -> list[str]:
  photos, masks = source.photos, source.masks
  return [
    f'mask missing for {photos[stem]}: add {stem}_mask.gif or remove the photo.'
    for stem in sorted(photos.keys() - masks.keys())
  ] + [
    f'photo missing for {masks[stem]}: add {stem}.jpg or remove the mask.'
    for stem in sorted(masks.keys() - photos.keys())
  ]


def _broken(source, height, width, encode, kept) -> list[str]:
  """Returns what is wrong; puts what is kept of masks into the dictionary."""

  def check_photo(_, data):
    return _check_photo(data, height, width)

  def check_mask(stem, data):
    kept[stem] = encode(_checked_mask(data, height, width))

  jobs = [(*item, check_photo) for item in source.photos.items()]
  jobs += [(*item, check_mask) for item in source.masks.items()]
  jobs += [(*item, check_photo) for item in source.test.items()]
  problems = threads.ordered_map(lambda job: _problem(*job), jobs)
  seen = progress.bar(
    problems, total=len(jobs), unit=' images', title='checking images'
  )
  return [problem for problem in seen if problem]


def _problem(
  stem: str, file: File, examine: Callable[[str, bytes], str | None]
) -> str | None:
  """Returns what is wrong with a file, in one line; None if nothing is."""
  try:
    complaint = examine(stem, file.read())
  except UserError as error:
    return str(error)
  except UnidentifiedImageError:
    return f'{file} is {nature(file)}: {_REMEDY}'
  except Exception as error:  # Pillow's decoders raise all kinds
    what = ' '.join(str(error).split())
    own = f'{error.remedy}, ' if isinstance(error, UnfitError) else ''
    return f'{file}: {what}: {own}{_REMEDY}'
  if complaint:
    text = f'{file} may look wrong in parts ({complaint}); it is used.'
    # Standard output is TFDS's, and not shown.
    progress.print_above(text, sys.stderr)
  return None


def _check_photo(data: bytes, height: int, width: int) -> str:
  """Reads a photo to its end; returns what its decoder complains of, or ''."""
  with images.opened(io.BytesIO(data)) as image:
    if image.format != 'JPEG' or image.mode != 'RGB':
      what = f'it is a {image.mode} {image.format}, not an RGB JPEG'
      raise UnfitError(what, 'save it as one')
    if is_turned(image):
      what = 'its Exif turns it, but masks go with pixels as they are stored'
      raise UnfitError(what, 'turn the pixels, and the mask if need be')
    _check_size(image, height, width)
  return images.check_jpeg(data)


def _checked_mask(data: bytes, height: int, width: int) -> np.ndarray:
  with images.opened(io.BytesIO(data)) as image:
    _check_size(image, height, width)  # before so many pixels are decoded
    return _decoded_mask(image)


def _check_size(image: Image.Image, height: int, width: int) -> None:
  if image.size != (width, height):
    what = f'the size is {image.width}x{image.height}, not {width}x{height}'
    raise UnfitError(what, 'bring it to that size')


def _warn_of_incomplete_cars(source: Source) -> None:
  stems = [*source.photos, *source.test]
  views = collections.Counter(spec.parse_photo(stem).car_id for stem in stems)
  incomplete = [car for car in views if views[car] < spec.VIEWS]
  if not incomplete:
    return
  named = ', '.join(
    f'{car} ({views[car]} views)' for car in incomplete[:_CARS_NAMED]
  )
  others = len(incomplete) - _CARS_NAMED
  more = f' and {others} more' if others > 0 else ''
  logging.warning(
    'Packaging cars with fewer than %d views: %s%s.', spec.VIEWS, named, more
  )
