"""Finds each photo's mask by the names of both."""

import collections
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from carvana_jax.datasets.folder import item_names, role_words
from carvana_jax.datasets.folder.listing import Picture

CHANNEL = '_0000'  # of nnU-Net's photos

# What photo and mask have in common; and what a photo may be called, by a file
# and whether it is the photo.
_Place = Callable[[Picture], Hashable]
_Names = Callable[[Picture, bool], Iterable[str]]


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
  def is_complete(self) -> bool:
    """Whether all photos have a mask, and all masks a photo."""
    return not (self.photos or self.masks or self.clashes)

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
  kinds = collections.defaultdict(list)
  for pair in pairs:
    kinds[_difference(pair)].append(pair)
  first, *others = sorted(kinds, key=lambda kind: -len(kinds[kind]))
  if not first:
    one = kinds[first][0]
    first = f'names such as {one.photo.name} and {one.mask.name}'
  return f'by {first}{" and others" if others else ""}'


def without_ending(one: Picture, ending: str) -> str | None:
  """Returns a mask's name without its ending; None where it has another."""
  for name in (one.stem, one.name):
    if name.lower().endswith(ending.lower()) and len(name) > len(ending):
      return name[: -len(ending)]
  return None


def commonest_ending(pictures: Sequence[Picture]) -> str:
  """Returns what follows most names of files in that of another beside them.

  Args:
    pictures: photos and masks.

  Returns:
    The ending, without that of the files; '' if few have one.
  """
  names = [(x.folders, x.stem) for x in pictures]
  ending, count = _commonest(names, names)
  return ending if 4 * count >= len(pictures) else ''


def _difference(pair: Pair) -> str:
  """Returns how two names differ; '' where only they themselves show it."""
  photo, mask = pair.photo.stem, pair.mask.stem
  if photo == mask:
    return 'equal names'
  if mask.startswith(photo):
    return f"names with {mask.removeprefix(photo)} after the photo's"
  if photo.startswith(mask):
    return f"names with {photo.removeprefix(mask)} after the mask's"
  if photo.casefold() == mask.casefold():
    return 'names but for small and capital letters'
  return ''


def _own_folder(one: Picture) -> Hashable:
  return one.folders


def _like_folder(one: Picture) -> Hashable:
  return role_words.of_folders(one.folders)[1:]


def _any_split(one: Picture) -> Hashable:
  return role_words.of_folders(one.folders).rest


def _anywhere(one: Picture) -> Hashable:
  return ()


_PLACES = (_own_folder, _like_folder, _any_split, _anywhere)  # the surest first


class _Matcher:
  """Matches masks and photos step by step."""

  def __init__(
    self, photos: Sequence[Picture], masks: Sequence[Picture], ending: str
  ):
    self._photos, self._masks, self._ending = photos, masks, ending
    self._masks_of = collections.defaultdict(list)  # by the photo's label
    self._left = list(masks)
    self._clashes = []
    self._unclear = set()  # labels of photos

  def match(self, place: _Place, is_sure: bool) -> None:
    """Matches the masks that are left.

    Args:
      place: what photo and mask must have in common.
      is_sure: whether that leaves no doubt. Else names must be there once, and
        most masks be matched.
    """
    places = set(map(place, self._left))
    photos = [x for x in self._photos if place(x) in places]
    if not is_sure:
      photos = [x for x in photos if x.label not in self._masks_of]
    if not photos:
      return
    self._take(place, photos, self._names, is_sure)
    if 2 * len(self._left) > len(self._masks):
      for names in (
        self._without_endings(place, photos),
        _without_shared(self._photos, self._masks),
      ):
        if names:
          self._take(place, photos, names, is_sure, needs_most=True)
    self._take(place, photos, self._names, is_sure, fold=str.casefold)

  def pairing(self) -> Pairing:
    """Returns what was found."""
    pairs, photos = [], []
    for photo in self._photos:
      masks = self._masks_of.get(photo.label, [])
      if len(masks) > 1:
        self._clashes.append(_clash(*masks[:2], photo))
      elif masks:
        pairs.append(Pair(photo, masks[0]))
      elif photo.label not in self._unclear:
        photos.append(photo)
    clashes = list(dict.fromkeys(self._clashes))
    return Pairing(pairs, photos, self._left, clashes)

  def _take(
    self,
    place: _Place,
    photos: Iterable[Picture],
    names: _Names,
    is_sure: bool,
    needs_most: bool = False,
    fold: Callable[[str], str] = str,
  ) -> None:
    """Matches the masks that are left by a reading of the names of both."""
    if not self._left:
      return
    index = collections.defaultdict(list)
    for photo in photos:
      for rank, name in enumerate(names(photo, True)):
        index[place(photo), fold(name)].append((rank, photo))
    matched = {}
    for mask in self._left:
      for name in names(mask, False):
        if hits := index.get((place(mask), fold(name))):
          best = min(rank for rank, _ in hits)
          matched[mask.label] = [x for rank, x in hits if rank == best]
          break
    if not is_sure or fold is not str:
      fitting, matched = matched, _unique(matched)
      if 2 * len(matched) < len(self._masks) <= 2 * len(fitting):
        self._note_clash(fitting)
    if (needs_most or not is_sure) and 2 * len(matched) < len(self._masks):
      return
    left = []
    for mask in self._left:
      hits = matched.get(mask.label)
      if not hits:
        left.append(mask)
      elif len(hits) > 1:
        self._clashes.append(_clash(*hits[:2], mask))
        self._unclear.update(x.label for x in hits)
      else:
        self._masks_of[hits[0].label].append(mask)
    self._left = left

  def _note_clash(self, fitting: dict[str, list[Picture]]) -> None:
    """Notes a photo that several masks fit, or a mask that several photos fit.

    Args:
      fitting: the photos that fit each mask, by its label.
    """
    mask_of = {}
    for mask in self._left:
      hits = fitting.get(mask.label, [])
      if len(hits) > 1:
        self._clashes.append(_clash(*hits[:2], mask))
        return
      for photo in hits:
        other = mask_of.setdefault(photo.label, mask)
        if other is not mask:
          self._clashes.append(_clash(other, mask, photo))
          return

  def _names(self, one: Picture, is_photo: bool) -> Iterator[str]:
    """Yields what a photo may be called, the likeliest first."""
    if is_photo:
      yield one.stem
      yield one.name  # as in a.jpg.png
      if one.stem.endswith(CHANNEL):
        yield one.stem.removesuffix(CHANNEL)
      yield from role_words.photo_cores(one.stem)
    elif not self._ending:
      yield one.stem
      yield from role_words.mask_cores(one.stem)
    elif core := without_ending(one, self._ending):
      yield core

  def _without_endings(
    self, place: _Place, photos: Iterable[Picture]
  ) -> _Names | None:
    """Returns a reading without the ending that most masks or photos have."""
    masks = [
      (place(x), name) for x in self._left for name in self._names(x, False)
    ]
    stems = [(place(x), x.stem) for x in photos]
    for longer, shorter, of_photo in (
      (masks, stems, False),
      (stems, masks, True),
    ):
      ending, count = _commonest(longer, shorter)
      if 2 * count < len(self._masks):
        continue

      def names(one, is_photo, ending=ending, of_photo=of_photo):
        for name in [one.stem] if is_photo else self._names(one, False):
          if is_photo != of_photo:
            yield name
          elif name.endswith(ending):
            yield name.removesuffix(ending)

      return names
    return None


def _clash(one: Picture, two: Picture, both: Picture) -> str:
  return f'{one.label} and {two.label} both fit {both.label}'


def _unique(matched: dict[str, list[Picture]]) -> dict[str, list[Picture]]:
  """Returns the masks of which each has one photo, which is no other's."""
  count = collections.Counter(
    x.label for x in itertools.chain(*matched.values())
  )
  return {
    mask: hits
    for mask, hits in matched.items()
    if len(hits) == 1 and count[hits[0].label] == 1
  }


def _commonest(
  longer: Iterable[tuple[Hashable, str]],
  shorter: Iterable[tuple[Hashable, str]],
) -> tuple[str, int]:
  """Returns what follows most names, and how many.

  Args:
    longer: names, each with its place.
    shorter: names, of which the longest that another one begins with counts.

  Returns:
    The ending, which is no mere digit of a longer number, or '', and 0.
  """
  shorter = set(shorter)
  counts = collections.Counter()
  for where, name in longer:
    for end in range(len(name) - 1, 0, -1):
      if (where, name[:end]) in shorter:
        counts[name[end:]] += 1
        break
  counts = [(x, count) for x, count in counts.items() if not x.isdigit()]
  return max(counts, key=lambda one: one[1], default=('', 0))


def _without_shared(
  photos: Sequence[Picture], masks: Sequence[Picture]
) -> _Names | None:
  """Returns a reading without what all photos or all masks share."""
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
