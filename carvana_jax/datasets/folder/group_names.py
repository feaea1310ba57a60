"""What photos of one object have in common in their names and folders.

Several ways of reading the names are tried; the first one with plausible groups
is taken. In doubt it is the one with fewer and larger groups, as photos of one
object in two splits do more harm than two objects in one group.
"""

import collections
import pathlib
import re
import statistics
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

FEWEST = 3  # groups of a guess: there are as many splits
_MOST_PHOTOS = 100  # of the median group of a guess; more are of a class
_MANY = 3  # times as many objects by names as folders: these are classes

_ID = 6  # digits of a number that is no other object's in another folder

_GAP = r'[ _.,#~+\-]'
# Counters of cameras and programs, which name no object, and what precedes the
# number of a view.
_COUNTERS = (
  'img|image|images|bild|dsc|dscf|dscn|dsc0|mg|mvi|pxl|pic|pict|picture|photo|'
  'foto|gopr|gp|gx|dji|win|wa|whatsapp|signal|screenshot|scan|untitled|frame|'
  'shot|snapshot|view|ansicht|angle|pose|pos|side|cam|camera|rot|rotation|az|'
  'azimuth|el|elevation|deg|nr|no|file|capture'
)
_VIEWS = (
  'front|frontal|back|rear|left|right|side|top|bottom|above|below|detail|'
  'details|close|closeup|inside|outside|interior|exterior|inner|outer|quarter|'
  'profile|up|down|open|closed|opened|fl|fr|rl|rr|l|r|vorne|hinten|links|'
  'rechts|oben|unten|seite'
)
_TIME = re.compile(
  r'(?<!\d)(19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d'
  r'(([ _T-]| at )?[0-2]\d[-_.:h]?[0-5]\d[-_.:m]?[0-5]\d([-_.]?\d{1,6})?)?'
  r'(?!\d)'
)
# Of a photo's copies: what Roboflow, augmentation and file managers add.
_COPY = re.compile(
  r'([_-](jpe?g|png|webp|bmp|tiff?)\.rf\.[0-9a-z]+'
  r'|[ _-]+(copy|kopie|aug|augmented|[hv]?flip|flipped|mirror|mirrored)'
  r'[ _-]*\(?\d*\)?)+$',
  re.IGNORECASE,
)
_NUMBER = r'\d{1,6}([.,]\d+)?(deg|°)?'
# A number after a gap or a counter's word; then all of them, of two angles.
_TAIL = re.compile(
  rf'(?P<object>.*?)(^|{_GAP}+)\(?(?:({_COUNTERS}){_GAP}*|[a-z])?{_NUMBER}\)?',
  re.I,
)
_TAILS = re.compile(
  rf'(?P<object>.+?)((^|{_GAP}+)(({_COUNTERS}){_GAP}*|[a-z]){_NUMBER})+', re.I
)
_GLUED = re.compile(r'(?P<object>.*[^\W\d_])\d+|(?P<lettered>.*\d)[a-z]', re.I)
_FIRST_NUMBER = re.compile(rf'\d{{1,3}}{_GAP}+(?P<object>.*[^\W\d].*)')
_LAST_WORD = re.compile(rf'(?P<object>.+?){_GAP}+(?P<word>[^\W\d]+)')
_FIRST_WORD = re.compile(rf'[^\W_]+?{_GAP}+(?P<object>.+)')
_VIEW = re.compile(rf'(?<![^\W_])({_VIEWS})(?![^\W_])', re.I)
_NAMELESS = re.compile(
  rf'({_GAP}|[()]|(?<![^\W_])({_COUNTERS})(?![^\W_]))*', re.I
)
# What cameras call photos: IMG_0001, P1010001, 100_0001.
_COUNTED = re.compile(
  rf'{_GAP}*(({_COUNTERS}){_GAP}*\d+|[a-z]\d{{4,}}|1\d\d_\d{{4}})', re.I
)
_CAMERA_FOLDER = re.compile(r'\d{3}([a-z0-9_]{5}|___\d\d)', re.I)


class Guess(NamedTuple):
  """Groups that names tell; those of photos that tell none are ''."""

  keys: list[str]
  how: str  # such as 'by names'


class DoubtError(ValueError):
  """Names can be read in two ways."""


def without_copy(path: pathlib.PurePosixPath) -> str:
  """Returns a photo's path without what is added to those of its copies."""
  return str(path.with_name(_COPY.sub('', path.name) or path.name))


def number(stem: str) -> int:
  """Returns the last number of a name, 0 where there is none."""
  found = re.findall(r'\d+', _COPY.sub('', stem))
  return int(found[-1]) if found else 0


def guess(
  paths: Sequence[pathlib.PurePosixPath], counted: Sequence[bool]
) -> Guess | None:
  """Guesses which photos show one object.

  Args:
    paths: of the photos, without their endings.
    counted: which of them count for what is plausible.

  Returns:
    The groups; None where nothing plausible is found.

  Raises:
    DoubtError: there are two plausible ways, and neither is the safer one.
  """
  folders = _folders(paths)
  written = [unicodedata.normalize('NFC', x.name) for x in paths]
  stems = _without_common_end([_cleaned(x) for x in written])
  views = {word.lower() for x in stems for word in _VIEW.findall(x)}
  if len(views) > 1:
    stems = [_without(_VIEW, x) for x in stems]
  copies = [
    without_copy(path) if counts else None
    for path, counts in zip(paths, counted, strict=True)
  ]
  names = _by_names(stems, folders, copies)
  if len(set(folders)) == 1 or not _is_plausible(folders, copies):
    return names
  by_folders = Guess(folders, 'by folders')
  if names is None:
    return by_folders
  if _refines(names.keys, folders):
    many = len(set(names.keys)) >= _MANY * len(set(folders))
    same = len(set(names.keys)) == len(set(folders))
    return names if many or same else by_folders
  if _refines(folders, names.keys):
    return names
  raise _doubt(by_folders, names)


def _by_names(stems, folders, copies):
  """Returns the first plausible guess by what is left of names, or None."""

  def made(way: Callable[[str], str], how: str = 'by names') -> Guess | None:
    keys = [
      _named(way(stem), stem, folder)
      for stem, folder in zip(stems, folders, strict=True)
    ]
    return Guess(keys, how) if _is_plausible(keys, copies) else None

  for way in (_all_tails, _tail, _whole):
    if found := made(way):
      return found
  doubtful = [made(_rest(x)) for x in (_FIRST_NUMBER, _GLUED)]
  words = made(_rest(_LAST_WORD), 'by names without their last word')
  if words and _is_vocabulary(stems, words.keys):
    doubtful.append(words)
    has_ids = all(re.search(r'\d', x) for x in words.keys)
    if not has_ids:
      doubtful.append(made(_rest(_FIRST_WORD), 'without their first word'))
  found = [x for x in doubtful if x]
  for other in found[1:]:
    if not _refines(found[0].keys, other.keys) and not _refines(
      other.keys, found[0].keys
    ):
      raise _doubt(found[0], other)
  return min(found, key=lambda x: len(set(x.keys)), default=None)


def _doubt(first: Guess, other: Guess) -> DoubtError:
  shown = [', '.join(sorted(set(x.keys) - {''})[:2]) for x in (first, other)]
  return DoubtError(
    f'groups may be {shown[0]} … ({first.how}) or {shown[1]} … ({other.how})'
  )


def _folders(paths):
  """Returns the folder of each photo, without dates and views; '' for none."""
  kept = [
    [
      part
      for part in path.parent.parts
      if not _CAMERA_FOLDER.fullmatch(part)
      and not _NAMELESS.fullmatch(_without(_VIEW, _cleaned(part)))
      and not re.fullmatch(rf'({_COUNTERS}){_GAP}*([a-z]|\d+)', part, re.I)
    ]
    for path in paths
  ]
  # The same folders within many, such as car1/outdoors, are no objects.
  above = collections.defaultdict(set)
  for parts in kept:
    if len(parts) > 1:
      above[parts[-1]].add(tuple(parts[:-1]))
  parents = {x for found in above.values() for x in found}
  shared = {
    leaf
    for leaf, found in above.items()
    if 2 * len(found) > len(parents) > 1 and not leaf.isdigit()
  }
  return [
    '/'.join(parts[:-1] if parts and parts[-1] in shared else parts)
    for parts in kept
  ]


def _cleaned(stem: str) -> str:
  """Returns a name without a time and what is added to a copy's."""
  stem = _COPY.sub('', stem)
  return _without(_TIME, stem) if _TIME.search(stem) else stem.strip()


def _without(expression: re.Pattern, stem: str) -> str:
  """Returns a name without what an expression matches, and one gap there."""
  inside = re.sub(
    rf'({_GAP}*)({expression.pattern})(?P<after>{_GAP}*)',
    lambda match: match['after'] or '',
    stem,
    flags=expression.flags,
  )
  return re.sub(rf'^{_GAP}+|{_GAP}+$', '', inside)


def _without_common_end(stems: list[str]) -> list[str]:
  """Returns names without a last word that all have, such as nnU-Net's 0000."""
  while len(set(stems)) > 1:
    ends = {re.search(rf'{_GAP}+[^\W_]+$', x) for x in stems[:1]}
    end = ends.pop()
    if not end or not all(x.endswith(end[0]) for x in stems):
      break
    stems = [x.removesuffix(end[0]) for x in stems]
  return stems


def _tail(stem: str) -> str:
  if _COUNTED.fullmatch(stem):
    return ''
  match = _TAIL.fullmatch(stem)
  return match['object'] if match else stem


def _all_tails(stem: str) -> str:
  match = _TAILS.fullmatch(stem)
  return match['object'] if match else _tail(stem)


def _whole(stem: str) -> str:
  """Returns a name that several photos have, but for their view or time."""
  return '' if _COUNTED.fullmatch(stem) else stem


def _rest(expression: re.Pattern) -> Callable[[str], str]:
  """Returns a function from a name to what the expression finds in it."""

  def rest(stem: str) -> str:
    match = expression.fullmatch(stem)
    found = match.groupdict() if match else {}
    return found.get('object') or found.get('lettered') or _whole(stem)

  return rest


def _named(one: str, stem: str, folder: str) -> str:
  """Returns the key of an object, '' where its name does not tell it apart."""
  if _NAMELESS.fullmatch(one):
    return ''
  if one.isdigit() and len(one) < _ID and folder:
    # A short number is one of its folder, and alone rather that of a view.
    return '' if one == stem else f'{folder}/{one}'
  return one


def _is_vocabulary(stems, keys):
  """Returns whether most last words are those of several objects."""
  objects = collections.defaultdict(set)
  words = [(match := _LAST_WORD.fullmatch(x)) and match['word'] for x in stems]
  for word, key in zip(words, keys, strict=True):
    objects[word].add(key)
  return 2 * sum(bool(x) and len(objects[x]) > 1 for x in words) >= len(words)


def _is_plausible(keys: Sequence[str], copies: Sequence[str | None]) -> bool:
  """Returns whether there are some groups of photos, copies counted once."""
  pairs = zip(copies, keys, strict=True)
  photos = {(copy, key) for copy, key in pairs if copy is not None}
  sizes = collections.Counter(key for _, key in photos if key)
  together = sum(size for size in sizes.values() if size > 1)
  return (
    len(sizes) >= FEWEST
    and 2 * together >= len(photos)
    and statistics.median(sizes.values()) <= _MOST_PHOTOS
  )


def _refines(fine: Iterable[str], coarse: Iterable[str]) -> bool:
  """Returns whether each of the fine groups is in one of the coarse ones."""
  pairs = set(zip(fine, coarse, strict=True))
  return len(pairs) == len({x for x, _ in pairs})
