"""Finds each photo's mask by the names of both."""

import collections
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from carvana_jax.datasets.folder import item_names, role_words
from carvana_jax.datasets.folder.listing import Picture

_CHANNEL = '_0000'  # of nnU-Net's photos


class Pair(NamedTuple):
  """A photo and its mask."""

  photo: Picture
  mask: Picture


class Pairing(NamedTuple):
  """What was found.

  Attributes:
    pairs: photos with their masks.
    photos: those without a mask.
    masks: those without a photo.
    clashes: sentences on masks that fit several photos, or photos that several
      masks fit.
  """

  pairs: list[Pair]
  photos: list[Picture]
  masks: list[Picture]
  clashes: list[str]

  @property
  def worth(self) -> int:
    """How good this reading of the names is, the more the better."""
    return len(self.pairs) - len(self.clashes)


def pair(
  photos: Sequence[Picture], masks: Sequence[Picture], ending: str = ''
) -> Pairing:
  """Finds each photo's mask.

  Names may be equal, a mask's may have an ending or a word more, and a photo's,
  too. Mask and photo lie in one folder, or in folders whose names differ in the
  words for photos and masks; if most pairs would be lost by that, in any.

  Args:
    photos: the photos.
    masks: the masks.
    ending: what follows a photo's name in that of its mask; '' to find out.

  Returns:
    The pairs, in the order of the photos.
  """
  matcher = _Matcher(photos, masks, ending)
  for number, place in enumerate(_PLACES):
    matcher.match(place, is_sure=number < 2)
  return matcher.pairing()


def how(pairs: Iterable[Pair]) -> str:
  """Returns how the names of masks and photos differ, in words."""
  kinds = collections.Counter(map(_difference, pairs))
  named = [kind for kind, _ in kinds.most_common(3)]
  return f'by {" and by ".join(named)}'


def _difference(pair: Pair) -> str:
  photo, mask = pair.photo.stem, pair.mask.stem
  if photo == mask:
    return 'equal names'
  if mask.startswith(photo):
    return f"names with {mask.removeprefix(photo)} after the photo's"
  if photo.startswith(mask):
    return f"names with {photo.removeprefix(mask)} after the mask's"
  if photo.casefold() == mask.casefold():
    return 'names but for small and capital letters'
  return (
    f'names such as {pair.photo.file.path.name}, {pair.mask.file.path.name}'
  )


def _own_folder(one: Picture) -> Hashable:
  return one.folders


def _like_folder(one: Picture) -> Hashable:
  return role_words.of_folders(one.folders)[1:]


def _any_split(one: Picture) -> Hashable:
  return role_words.of_folders(one.folders).rest


def _anywhere(one: Picture) -> Hashable:
  return ()


# What photo and mask have in common, the surest first.
_PLACES = (_own_folder, _like_folder, _any_split, _anywhere)


class _Matcher:
  """Matches masks and photos step by step."""

  def __init__(
    self, photos: Sequence[Picture], masks: Sequence[Picture], ending: str
  ):
    self._photos, self._masks, self._ending = photos, masks, ending
    self._masks_of = collections.defaultdict(list)  # by the photo's path
    self._left = list(masks)
    self._unclear = []

  def match(self, place: Callable[[Picture], Hashable], is_sure: bool) -> None:
    """Matches the masks that are left.

    Args:
      place: what photo and mask must have in common.
      is_sure: whether that leaves no doubt. Else names must be there once, and
        most masks be matched.
    """
    if not self._left:
      return
    photos = self._photos
    if not is_sure:
      photos = [x for x in photos if x.path not in self._masks_of]
    self._take(place, photos, self._names, is_sure)
    if 2 * len(self._left) > len(self._masks) and not self._ending:
      for names in (
        _by_endings(place, photos, self._left, len(self._masks)),
        _by_numbers(self._photos, self._masks),
      ):
        if names:
          self._take(place, photos, names, is_sure, needs_most=True)
    self._take(place, photos, self._names, is_sure, fold=str.casefold)

  def _take(self, place, photos, names, is_sure, needs_most=False, fold=str):
    """Matches the masks that are left by what `names` yields of both."""
    index = collections.defaultdict(list)
    for photo in photos:
      for rank, name in enumerate(names(photo, True)):
        key = place(photo), fold(name)
        index[key].append((rank, photo))
    matched = {}
    for mask in self._left:
      for name in names(mask, False):
        if hits := index.get((place(mask), fold(name))):
          best = min(rank for rank, _ in hits)
          matched[mask.path] = [x for rank, x in hits if rank == best]
          break
    if not is_sure or fold is not str:
      matched = _unique(matched)
    if (needs_most or not is_sure) and 2 * len(matched) < len(self._masks):
      return
    left = []
    for mask in self._left:
      hits = matched.get(mask.path)
      if not hits:
        left.append(mask)
      elif len(hits) > 1:
        self._unclear.append((mask, hits))
      else:
        self._masks_of[hits[0].path].append(mask)
    self._left = left

  def _names(self, one: Picture, is_photo: bool) -> Iterator[str]:
    """Yields what a photo may be called; the likeliest first."""
    if self._ending and not is_photo:
      if core := without_ending(one, self._ending):
        yield core
      return
    yield one.stem
    if not is_photo:
      yield from role_words.mask_cores(one.stem)
      return
    yield one.file.path.name  # as in a.jpg.png
    if one.stem.endswith(_CHANNEL):
      yield one.stem.removesuffix(_CHANNEL)
    yield from role_words.photo_cores(one.stem)

  def pairing(self) -> Pairing:
    """Returns what was found."""
    pairs, photos, clashes = [], [], []
    for mask, hits in self._unclear:
      clashes.append(f'{hits[0].file} and {hits[1].file} both fit {mask.file}')
    unclear = {x.path for _, hits in self._unclear for x in hits}
    for photo in self._photos:
      masks = self._masks_of.get(photo.path, [])
      if len(masks) > 1:
        clashes.append(
          f'{masks[0].file} and {masks[1].file} both fit {photo.file}'
        )
      elif masks:
        pairs.append(Pair(photo, masks[0]))
      elif photo.path not in unclear:
        photos.append(photo)
    return Pairing(pairs, photos, self._left, clashes)


def without_ending(one: Picture, ending: str) -> str | None:
  """Returns a mask's name without its ending; None where it has another."""
  for name in (one.stem, f'{one.stem}{one.ending}'):
    if name.lower().endswith(ending.lower()) and len(name) > len(ending):
      return name[: -len(ending)]
  return None


def _unique(matched: dict[str, list[Picture]]) -> dict[str, list[Picture]]:
  """Returns the masks of which each has one photo, which is no other's."""
  count = collections.Counter(
    x.path for x in itertools.chain(*matched.values())
  )
  return {
    mask: hits
    for mask, hits in matched.items()
    if len(hits) == 1 and count[hits[0].path] == 1
  }


def _by_endings(place, photos, masks, most):
  """Returns a reading of names by the ending that most masks or photos have."""
  for longer, shorter, of_photo in (
    (masks, photos, False),
    (photos, masks, True),
  ):
    endings = _endings(place, longer, shorter)
    if not endings:
      continue
    ending, count = endings.most_common(1)[0]
    if 2 * count < most or not _is_ending(ending):
      continue

    def names(one, is_photo, ending=ending, of_photo=of_photo):
      if is_photo != of_photo:
        yield one.stem
      elif one.stem.endswith(ending):
        yield one.stem.removesuffix(ending)

    return names
  return None


def _endings(place, longer, shorter) -> collections.Counter:
  """Counts what follows, in some names, the longest one that others are."""
  stems = {(place(x), x.stem) for x in shorter}
  counts = collections.Counter()
  for one in longer:
    where = place(one)
    for end in range(len(one.stem) - 1, 0, -1):
      if (where, one.stem[:end]) in stems:
        counts[one.stem[end:]] += 1
        break
  return counts


def commonest_ending(pictures: Sequence[Picture]) -> str:
  """Returns what follows most names of files in that of another beside them.

  Args:
    pictures: photos and masks.

  Returns:
    The ending, without that of the files; '' if few have one.
  """
  endings = _endings(_own_folder, pictures, pictures)
  for ending, count in endings.most_common():
    if 4 * count < len(pictures):
      break
    if _is_ending(ending):
      return ending
  return ''


def _is_ending(text: str) -> bool:
  """Returns whether a text is no mere digit of a longer number."""
  return not text.isdigit()


def _by_numbers(photos, masks):
  """Returns a reading of names without what all photos or all masks share."""
  if min(len(photos), len(masks)) < 2:
    return None
  shared = [_shared([x.stem for x in group]) for group in (masks, photos)]

  def names(one, is_photo):
    before, after = shared[is_photo]
    yield one.stem[before : len(one.stem) - after]

  return names


def _shared(stems: list[str]) -> tuple[int, int]:
  """Returns how many letters, but no digits, all names begin and end with."""
  before = _letters(stems)
  return before, _letters([stem[before:][::-1] for stem in stems])


def _letters(stems: list[str]) -> int:
  count = item_names.common(stems)
  return len(stems[0][:count].rstrip('0123456789'))
