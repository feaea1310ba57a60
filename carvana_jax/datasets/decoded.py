"""Decoded examples, kept in memory for the epochs to come.

Copying the pixels of an example takes a small part of the time that decoding it
takes. The processes of a machine share the memory, as each may need any example
in another epoch. It is a file without a name (memfd_create(2)), so nothing is
left of it however they end, and it is as large as memory, where /dev/shm is
often small in containers.
"""

import math
import mmap
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from carvana_jax.parallel import processes
from carvana_jax.system.free_memory import free_memory

_SHARE = 0.5  # of the memory that is free


class Shape(NamedTuple):
  """Of the examples of a split."""

  count: int
  image: tuple[int, int, int]  # [h, w, C]

  @property
  def bytes(self) -> int:
    """What flags, images and masks take."""
    height, width, channels = self.image
    return self.count * (1 + height * width * (channels + 1))


class Decoded:
  """Images and masks of a split, as far as they were decoded before.

  Any thread may copy pixels, but `has` and `confirm` are for the one that hands
  out this work and waits for it. The locks in between order flags and pixels
  also as other processes see them, and on processors that reorder what they
  write.
  """

  def __init__(self, memory: mmap.mmap, start: int, shape: Shape):
    """Finds the examples in memory.

    Args:
      memory: at first all zero; freed with the last object that refers to it.
      start: the first byte of `shape.bytes`.
      shape: of the examples.
    """
    self._images, self._masks, self._flags = (
      np.ndarray(dims, np.uint8, memory, start + before)
      for dims, before in (
        ((shape.count, *shape.image), 0),
        (
          (shape.count, *shape.image[:2]),
          shape.count * math.prod(shape.image),
        ),
        ((shape.count,), shape.bytes - shape.count),
      )
    )

  def has(self, indices: np.ndarray) -> np.ndarray:
    """Returns whether examples can be read, bool [b], by their indices [b]."""
    return self._flags[indices] > 0

  def read(self, image: np.ndarray, mask: np.ndarray, index: int) -> None:
    """Copies an example that is there into image [h, w, C] and mask [h, w]."""
    image[:] = self._images[index]
    mask[:] = self._masks[index]

  def write(self, image: np.ndarray, mask: np.ndarray, index: int) -> None:
    """Copies an example to where it can be read once it is confirmed."""
    self._images[index] = image
    self._masks[index] = mask

  def confirm(self, indices: np.ndarray) -> None:
    """Makes examples readable whose pixels are all written."""
    self._flags[indices] = 1


def keep(shapes: Mapping[str, Shape]) -> dict[str, Decoded]:
  """Takes memory for the examples of splits, and prints for which.

  A split gets memory if it fits, with those before it, half of what is free.
  All processes of the run must call this together. The memory is taken as
  examples are written, and given back with the last of the returned objects.

  Args:
    shapes: of the examples by split; the first ones come first.

  Returns:
    The splits that fit.
  """
  offer = _offer()
  offers = processes.gather(offer)
  try:
    kept, text = _share(shapes, offer, offers)
  except OSError as error:
    kept, text = {}, f'photos are decoded in every epoch: {error}'
  # No process closes its file before the others have opened it.
  for line in dict.fromkeys(processes.gather(text)):
    print(line, flush=True)
  if offer['free'] is not None:
    os.close(offer['file'])
  return kept


def _offer() -> dict[str, Any]:
  """Returns what this process tells the others, with an empty memory file."""
  free = free_memory()
  try:
    return {
      'free': free,
      'machine': pathlib.Path('/proc/sys/kernel/random/boot_id').read_text(),
      # In containers of one machine the same id may be that of other processes.
      'ids': os.readlink('/proc/self/ns/pid'),
      'pid': os.getpid(),
      'file': os.memfd_create('decoded') if free is not None else None,
    }
  except (OSError, AttributeError) as error:
    # Not everywhere: Pythons built against an old glibc lack memfd_create.
    return {'free': None, 'why': str(error)}


def _share(shapes, own, offers):
  """Returns the kept splits, and what is said of them."""
  if own['free'] is None:
    why = own.get('why', 'it is not known how much memory is free')
    return {}, f'photos are decoded in every epoch: {why}'
  here = [x for x in offers if x.get('machine') == own['machine']]
  first = next(x for x in here if x['ids'] == own['ids'])
  containers = len({x['ids'] for x in here})
  most = int(_SHARE * first['free'] / containers)
  starts, end = {}, 0
  for split, shape in shapes.items():
    if end + shape.bytes <= most:
      starts[split] = end
      end += shape.bytes
  size = lambda names: ', '.join(
    f'{name} ({-(-shapes[name].bytes // 10**6):,} MB)' for name in names
  )
  texts, kept = [], {}
  if starts:
    texts.append(f'decoded photos are kept in memory: {size(starts)}')
    path = f'/proc/{first["pid"]}/fd/{first["file"]}'
    with open(path, 'r+b', buffering=0) as file:
      file.truncate(end)  # in each process to the same size
      memory = mmap.mmap(file.fileno(), end)
    kept = {
      split: Decoded(memory, start, shapes[split])
      for split, start in starts.items()
    }
  if missing := [split for split in shapes if split not in starts]:
    texts.append(
      f'photos are decoded in every epoch: {size(missing)}, as half of the '
      f'free memory is {most // 10**6:,} MB'
    )
  return kept, '; '.join(texts)
