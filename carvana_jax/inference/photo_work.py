"""Which files of an output folder are what its photos give, and which are not.

A file counts as done if it is there, and its record says that it was made of
what its photo holds now; for a network that compares views, of what all photos
of the car hold. Everything else is made again.
"""

import hashlib
import itertools
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from carvana_jax.datasets import names
from carvana_jax.inference import contents, outputs, photo_records, photos
from carvana_jax.masks import from_logits
from carvana_jax.system import files, names_in_messages

# What is said of photos whose files are there; the last of several counts.
_DONE, _MISSING, _BACKGROUND, _UNKNOWN, _CHANGED = range(5)
_WORDS = {
  _CHANGED: 'changed since, so made again',
  _UNKNOWN: 'made again, as it is not known what their files were made of',
  _BACKGROUND: 'composed again, as the background has changed',
}


class Work:
  """The work on an output folder's photos, or on one process's share."""

  def __init__(
    self,
    cars: Sequence[Sequence[photos.Photo]],
    output: pathlib.Path,
    wanted: outputs.Wanted,
    index: int | None,
  ):
    """Looks at what the photos hold of which there are records.

    Args:
      cars: lists of photos that are looked at together.
      output: the folder.
      wanted: what to write for each photo.
      index: of this process; None if it is the only one.
    """
    self._cars = cars
    self._output = output
    self._wanted = wanted
    self._is_alone = index is None
    self._records = photo_records.Records(output, index)
    self._car_of = {photo.name: car for car in cars for photo in car}
    found = {
      photo.name: photo
      for car in cars
      if any(photo.name in self._records for photo in car)
      for photo in car
    }
    known = {name: self._records[name].content for name in found}
    self._held = contents.present(found, known)

  def left(self) -> list[Sequence[photos.Photo]]:
    """Returns the cars that are not done, and says why some are made again."""
    left, reasons = [], {reason: [] for reason in _WORDS}
    for car in self._cars:
      states = [self._state(photo) for photo in car]
      if any(states):
        left.append(car)
      for photo, state in zip(car, states, strict=True):
        if state in reasons:
          reasons[state].append(photo.file)
    for reason, found in reasons.items():
      if found:
        print(f'{_WORDS[reason]}: {names_in_messages.named(found)}', flush=True)
    return left

  def pixels(self, photo: photos.Photo, strict: bool) -> np.ndarray:
    """As `photo.pixels`, and notes what the photo's file holds."""
    self._held[photo.name] = None
    data, self._held[photo.name] = contents.read(photo)
    return photo.decoded(data, strict)

  def save(self, photo: photos.Photo, made: outputs.Made) -> None:
    """Writes a photo's files, and records what they are made of."""
    endings, content = outputs.endings(self._wanted), self._held[photo.name]
    add = lambda made_of: self._records.add(
      photo.name, content, made.is_empty, made_of, made.doubt
    )
    if photo.name in self._records:  # which won't be true in between
      add(dict.fromkeys(endings, photo_records.UNKNOWN))
    for ending, data in zip(endings, made.files, strict=True):
      path = self._path(photo.name, ending)
      path.parent.mkdir(parents=True, exist_ok=True)
      files.write(path, data)
    of = self._of(photo)
    add({ending: self._wanted.made_of(ending, of) for ending in endings})

  def finish(self, word: str) -> None:
    """Says what is to be known of the files, and joins all records.

    Args:
      word: what the networks look for, see `names.object_word`.
    """
    empty, stale, unknown = [], [], []
    for photo in itertools.chain.from_iterable(self._cars):
      record, of = self._records[photo.name], self._of(photo)
      if record.is_empty and record.made.get(names.MASK_ENDING) == of:
        empty.append(photo.file)
      for ending, made_of in record.made.items():
        is_of_now = made_of.partition(' ')[0] == of
        if not is_of_now and self._path(photo.name, ending).exists():
          is_known = made_of != photo_records.UNKNOWN
          (stale if is_known else unknown).append(f'{photo.name}{ending}')
    say_empty(empty, word)
    for words, found in (
      ('of photos as they were before', stale),
      ('of photos as they are or as they were, which is not known', unknown),
    ):
      if found:
        print(
          f'{words}: {names_in_messages.named(found, "file")}; make them again '
          'with the flags that they were made with, or remove them'
        )
    if self._is_alone:
      others = self._records.names() - self._car_of.keys()
      kept = [x for x in others if self._path(x, names.MASK_ENDING).exists()]
      if kept:
        kept = names_in_messages.named(sorted(kept))
        print(f'kept, though they are not among the photos: files of {kept}')
      self._records.join(self._held)

  def _state(self, photo):
    made = self._records[photo.name].made
    of, state = self._of(photo), _DONE
    for ending in outputs.endings(self._wanted):
      made_of = made.get(ending, photo_records.UNKNOWN)
      if not _is_whole(self._path(photo.name, ending)):
        state = max(state, _MISSING)
      elif made_of == photo_records.UNKNOWN:
        state = max(state, _UNKNOWN)
      elif made_of.partition(' ')[0] != of:
        state = max(state, _CHANGED)
      elif made_of != self._wanted.made_of(ending, of):
        state = max(state, _BACKGROUND)
    return state

  def _of(self, photo):
    """Returns what tells a photo, or all of its car, from others."""
    car = self._car_of[photo.name]
    held = [self._held.get(x.name) for x in car]
    digests = [content.digest if content else '' for content in held]
    if len(car) == 1:
      return digests[0]
    named = list(zip((x.file for x in car), digests, strict=True))
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()

  def _path(self, name, ending):
    return outputs.path(self._output, name, ending)


def _is_whole(path):
  """Whether a file is there, and not one that a failing disk left empty."""
  try:
    return path.stat().st_size > 0
  except OSError:
    return False


def say_empty(found: Sequence[str], word: str) -> None:
  """Prints the photos in which nothing was found, if there are any.

  Args:
    found: the names of their files.
    word: what the networks look for, see `names.object_word`.
  """
  if found:
    print(
      f'no {word} was found in {names_in_messages.named(found)}, '
      f'as less than {100 * from_logits.LEAST_CAR:g} % of the pixels are {word}'
    )
