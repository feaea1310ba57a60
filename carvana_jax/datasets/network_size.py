"""The size that a network sees: suggested by the photos' shape, or refused."""

import collections
import math
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets import fitting, prepare, spec
from carvana_jax.datasets.folder import photo_sizes, source
from carvana_jax.datasets.names import ORIGINAL_SIZE, OWN_SIZE
from carvana_jax.system.errors import UserError

_LEAST = 16  # pixels, of height and width
_MOST = 2**25  # pixels of a picture
# What is suggested: multiples of this, and about as many pixels as in
# configs/fast.py.
_STEP = 32
_SMALL_STEP = 8  # for photos below so many pixels in one direction
_SMALL = 256
_PIXELS = 512 * 768
_SHAPE_COUNTS = 8  # times as much as the number of pixels, in logarithms


def settle(data_config: ConfigDict) -> None:
  """Sets the size, and says so, where a config leaves it open.

  Args:
    data_config: `config.data`; its `size` is changed where that is empty.

  Raises:
    UserError: the data set is unknown, or its photos cannot be found or read.
  """
  if data_config.size:
    return
  if _keeps_sizes(data_config):
    sizes = _photo_sizes(data_config)
    middle = _middle(sizes)
    data_config.size = _text(suggest(middle))
    reason = f'as {_described(sizes, middle)}'
    others = _other_shapes(sizes, data_config)
  else:
    full = prepare.full_size(data_config)
    data_config.size = _text(suggest(_checked('full_size', full)))
    reason, others = f'as photos are scored at {full}', ''
  print(
    f'network size {data_config.size}, {reason} (set config.data.size for '
    f'another){others}',
    flush=True,
  )


def suggest(photo_size: tuple[int, int]) -> tuple[int, int]:
  """Returns the (h, w) that suits photos of (H, W) pixels.

  It has about their shape, about as many pixels as 512x768, and in no direction
  more than they have.
  """
  pixels = min(_PIXELS, math.prod(photo_size))
  step = _STEP if min(photo_size) >= _SMALL else _SMALL_STEP
  choices = [range(step, most + 1, step) or (most,) for most in photo_size]
  shape = photo_size[0] / photo_size[1]

  def misfit(size):
    height, width = size
    return _SHAPE_COUNTS * abs(math.log(height / width / shape)) + abs(
      math.log(height * width / pixels)
    )

  # Of each height only the widths next to its share of the pixels.
  ideal = math.sqrt(pixels * shape), math.sqrt(pixels / shape)
  near = [
    sorted(own, key=lambda x: abs(x - aim))[:8]
    for own, aim in zip(choices, ideal, strict=True)
  ]
  return min(((h, w) for h in near[0] for w in near[1]), key=misfit)


def refuse_unfit(data_config: ConfigDict) -> None:
  """Refuses sizes that photos cannot be brought to.

  Args:
    data_config: `config.data`.

  Raises:
    UserError: a size is no HEIGHTxWIDTH, or too small or too large.
  """
  size = _checked('size', data_config.size)
  if _keeps_sizes(data_config):
    _refuse_enlarging(data_config, size)
    return
  full = prepare.full_size(data_config)
  most = _checked('full_size', full)
  if data_config.dataset == 'carvana' and not _fits(
    most, spec.parse_size(ORIGINAL_SIZE)
  ):
    raise UserError(
      f'config.data.full_size={full} is larger than the photos of carvana, '
      f'{ORIGINAL_SIZE}; choose a smaller one.'
    )
  if not _fits(size, most):
    raise UserError(
      f'config.data.size={data_config.size} is larger than the full size '
      f'{full}; set config.data.full_size.'
    )


def _keeps_sizes(data_config):
  """Whether photos are scored each at its own size."""
  full = prepare.full_size(data_config)
  return full == OWN_SIZE and data_config.dataset == 'folder'


def _checked(field, text):
  size = spec.parse_size(text)
  if min(size) < _LEAST or math.prod(size) > _MOST:
    raise UserError(
      f'config.data.{field}={text} must have at least {_LEAST} pixels in '
      f'height and width, and at most {_MOST // 10**6} million in all.'
    )
  return size


def _fits(size, most):
  return all(x <= y for x, y in zip(size, most, strict=True))


def _refuse_enlarging(data_config, size):
  """Refuses a size of more pixels than most photos have."""
  sizes = _photo_sizes(data_config)
  if data_config.coarse:  # tiles, which are cut from photos as they are
    least = tuple(np.min(sizes, axis=0).tolist())
    if not _fits(size, least):
      raise UserError(
        f'config.data.size={data_config.size} of tiles is larger than photos '
        f'of {_text(least)}; choose a smaller one.'
      )
    return
  if np.mean(np.prod(sizes, axis=1) < math.prod(size)) > 0.5:
    raise UserError(
      f'config.data.size={data_config.size} has more pixels than most photos, '
      f'which are about {_text(_middle(sizes))}; choose a smaller one.'
    )


def _photo_sizes(data_config):
  items = source.find_layout(data_config).items
  return photo_sizes.of(item for item in items if item.mask)


def _middle(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
  """Returns the (H, W) of most photos, or of the median shape and area."""
  (size, count), *_ = collections.Counter(sizes).most_common(1)
  if count > len(sizes) / 2:
    return size
  area = np.median(np.prod(sizes, axis=1))
  shape = np.exp(np.median(np.log(sizes) @ [1, -1]))  # height / width
  # No more pixels than half of the photos have.
  return tuple(int(x**0.5 + 1e-6) for x in (area * shape, area / shape))


def _described(sizes, middle):
  """Says what size photos have."""
  alike = sum(size == middle for size in sizes)
  if alike == len(sizes):
    return f'photos are {_text(middle)}'
  if alike > len(sizes) / 2:
    return f'most photos are {_text(middle)}'
  return f'photos are about {_text(middle)}'


def _other_shapes(sizes, data_config):
  """Says how many photos have not the picture's shape, and what of them."""
  size = spec.parse_size(data_config.size)
  count = sum(fitting.place(x, size, 'pad') is not None for x in sizes)
  if not count:
    return ''
  done = {
    'pad': 'padded (config.data.fit=pad)',
    'stretch': 'stretched (config.data.fit=pad keeps their shape)',
  }
  return (
    f'; {count} of {len(sizes)} photos have another shape and are '
    f'{done[data_config.fit]}'
  )


def _text(size):
  return 'x'.join(map(str, size))
