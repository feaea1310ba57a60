"""Masks as text, in the run-length encoding of Kaggle's Carvana challenge.

A run is `start length`: so many pixels of car from this one on, counted from 1
along the rows, from left to right and from top to bottom. Runs are separated
by blanks and ascend; an empty mask is an empty text.
"""

import re
import reprlib

import numpy as np

_NUMBER = re.compile('-?[0-9]+')


def encode(mask: np.ndarray) -> str:
  """Encodes a mask in as few runs as possible.

  Args:
    mask: bool [H, W].

  Returns:
    'start length start length …', '' for an empty mask.
  """
  flat = mask.ravel()  # [H * W]
  # Numbers of the pixels that differ from the one before: starts of runs, and
  # the pixels after their ends, in turn.
  bounds = np.flatnonzero(flat[1:] != flat[:-1]) + 2
  if flat[:1].any():
    bounds = np.append(1, bounds)
  if flat[-1:].any():
    bounds = np.append(bounds, flat.size + 1)
  bounds[1::2] -= bounds[::2]
  return ' '.join(map(str, bounds.tolist()))


def decode(text: str, size: tuple[int, int]) -> np.ndarray:
  """Decodes runs to a mask.

  Args:
    text: runs as `encode` writes them; they may touch, and blanks may be
      repeated.
    size: (H, W) of the mask.

  Returns:
    bool [H, W].

  Raises:
    ValueError: the text breaks the challenge's rules; the message says which,
      and where.
  """
  found = runs(text, size)
  found[:, 1] += found[:, 0]  # the first pixel after the run
  bounds = np.concatenate([[1], found.ravel(), [size[0] * size[1] + 1]])
  # Background and car take turns; some of either may have no pixels.
  is_car = np.arange(len(bounds) - 1) % 2 == 1
  return np.repeat(is_car, np.diff(bounds)).reshape(size)


def runs(text: str, size: tuple[int, int]) -> np.ndarray:
  """Parses and checks the runs of a text, without making a mask of them.

  Args:
    text: as for `decode`.
    size: (H, W) of the mask.

  Returns:
    int64 [N, 2]: start, from 1 on, and length of every run, ascending; they
    don't overlap, and end at pixel H * W at the latest.

  Raises:
    ValueError: as for `decode`.
  """
  numbers = _numbers(text)
  if len(numbers) % 2:
    raise ValueError(
      f'an odd count of numbers ({len(numbers)}), not pairs of two'
    )
  last = size[0] * size[1]
  found = numbers.reshape(-1, 2)
  # Nothing that is right changes, and the sums of what is wrong can't overflow.
  starts, lengths = np.minimum(found, last + 1).T
  ends = starts + lengths  # the first pixel after a run
  good = (lengths > 0) & (ends <= last + 1)
  good &= starts >= np.append(1, ends[:-1])
  if not good.all():
    index = int(np.argmin(good))
    reason = _reason(starts, ends, index, last)
    raise ValueError(f'run {index + 1}, {_show(text, index)}, {reason}')
  return found


def are_down_columns(found: np.ndarray, size: tuple[int, int]) -> bool:
  """Returns whether runs were counted down the columns, as elsewhere at Kaggle.

  Read along the rows they make stripes: a pixel is then like that one whole
  column further on, at a distance of H, and unlike the one below it, at W.
  Neighbours in a mask differ along its border only.

  Args:
    found: from `runs`.
    size: (H, W) of the mask. Of a square one it can't be told.
  """
  # The first pixel of each run, and the first one after it.
  bounds = found.cumsum(1).ravel()
  height, width = size
  return _unlike(bounds, width) > 2 * _unlike(bounds, height)


def _unlike(bounds, distance):
  """Returns how many pixels are unlike the one at a distance behind them."""
  # What is in the mask or in the shifted one, but not in both.
  both = np.sort(np.concatenate([bounds, bounds + distance]))
  return int((both[1::2] - both[::2]).sum())


def _numbers(text):
  """Returns the text's numbers, int64 [N]; too large ones are its maximum."""
  if not text.isascii() or text.encode().translate(None, b'0123456789 '):
    _refuse(text)
  if not text.strip(' '):  # NumPy would read a zero
    return np.empty(0, np.int64)
  return np.fromstring(text, np.int64, sep=' ')


def _refuse(text):
  """Raises `ValueError` for the first word that has more than digits."""
  for index, word in enumerate(_words(text)):
    if not _NUMBER.fullmatch(word):
      raise ValueError(f'{reprlib.repr(word)} is not a whole number')
    if word.startswith('-'):
      kind = ('start', 'length')[index % 2]
      raise ValueError(f'the {kind} {reprlib.repr(word)} is below 1')


def _reason(starts, ends, index, last):
  """Returns what is wrong with a run."""
  if starts[index] < 1:
    return 'starts below pixel 1'
  if starts[index] == ends[index]:
    return 'has length zero'
  if ends[index] > last + 1:
    return f'goes beyond the last pixel, {last}'
  if starts[index] < starts[index - 1]:
    return f'starts before run {index} does: runs must ascend'
  return f'overlaps run {index}'


def _show(text, index):
  """Returns a run as it is in the text, for a message."""
  return reprlib.repr(' '.join(_words(text)[2 * index : 2 * index + 2]))


def _words(text):
  return [word for word in text.split(' ') if word]
