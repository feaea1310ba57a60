"""Decides what the values of a folder's masks mean."""

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from carvana_jax.datasets.folder import mask_files, mask_values, object_values
from carvana_jax.datasets.folder.mask_files import COLOUR, GREY
from carvana_jax.datasets.folder.mask_values import NEAR, Survey, Values
from carvana_jax.datasets.folder.object_values import Known
from carvana_jax.system import names_in_messages
from carvana_jax.system.errors import UserError

# Of masks that are soft or have been saved as JPG at some time; labels are
# fewer, or in other places.
_FEWEST_LEVELS, _MANY_LEVELS = 5, 32
_MOST_BETWEEN = 0.2  # share of pixels that are neither object nor background
_LEAST_BESIDE = {False: 0.95, True: 0.7}  # of those, by: are levels many
_MOST_NEAR = 0.5  # pixels that are nearly background, of those of the object
_NOISE = 1.5  # pixels nearly at an end, of those between: more are noise
_WHITISH = 240  # levels from there on are one, where white is the object
_SOFT_ENDS = (12, 243)  # the brightest background and the darkest object
_FEW_LABELS = range(2, 17)  # colours of what is opaque that are labels


class Reading(NamedTuple):
  """How masks are read.

  Attributes:
    text: what is said of it, in a line.
    is_alpha: whether the alpha of masks that have one is their mask.
    objects: keys of `mask_files` that are the object, where `ends` is None.
    ends: the luminance of background and of object, where there are levels
      between.
    is_soft: whether these say which share of a pixel is object.
    lossy_ends: the ends for files of JPG and the like; None where their values
      can't be told.
    deep_unit: what values of 16 bits are multiplied by to make keys of them.
  """

  text: str
  is_alpha: bool
  objects: frozenset[int]
  ends: tuple[float, float] | None
  is_soft: bool
  lossy_ends: tuple[float, float] | None
  deep_unit: int


def decide(surveys: Sequence[Survey], chosen: str) -> Reading:
  """Decides how masks are read.

  Args:
    surveys: of the masks, one or more.
    chosen: `data.object_values`, '' to find out.

  Raises:
    UserError: as `masks.survey`.
  """
  is_alpha = _is_alpha(surveys)
  parts = [
    (x.kind, x.values) if not is_alpha or x.alpha is None else ('', x.alpha)
    for x in surveys
  ]
  unit = _deep_unit(parts)
  exact = [
    x._replace(counts=_scaled(x.counts, unit), edges=_scaled(x.edges, unit))
    if kind == 'deep'
    else x
    for kind, x in parts
    if kind != 'lossy'
  ]
  lossy = [x for kind, x in parts if kind == 'lossy']
  known = _known(surveys, [*exact, *lossy], is_alpha)
  if len(known.counts) == 1:
    value = object_values.name(known, *known.counts)
    raise UserError(
      f'all {len(parts)} masks hold the single value {value}, so object and '
      'background cannot be told: add masks that hold both.'
    )
  objects = object_values.parse(known, chosen) if chosen else None
  reading = _exact(exact, known, objects) if exact else None
  reading = _lossy(lossy, known, objects, reading) if lossy else reading
  text = reading.text
  if is_alpha:
    text = f'alpha of {text}'
  return reading._replace(text=text, is_alpha=is_alpha, deep_unit=unit)


def _is_alpha(surveys):
  alphas = [x for x in surveys if x.alpha is not None]
  if len(mask_values.total([x.alpha.counts for x in alphas])) < 2:
    return False
  # A palette of labels may have a transparent background.
  opaque = [x.opaque for x in alphas if x.indexes]
  return len(set().union(*opaque)) not in _FEW_LABELS


def _deep_unit(parts):
  deep = mask_values.total([x.counts for kind, x in parts if kind == 'deep'])
  return GREY if deep and max(deep) < 256 else 1


def _scaled(counts, unit):
  return {unit * key: number for key, number in counts.items()}


def _known(surveys, parts, is_alpha):
  indexes = collections.defaultdict(set)
  for x in surveys if not is_alpha else ():
    for index, key in x.indexes.items():
      indexes[index].add(key)
  return Known(mask_values.total([x.counts for x in parts]), indexes)


def _exact(
  parts: Sequence[Values], known: Known, objects: frozenset[int] | None
) -> Reading:
  """Decides on masks whose values are those that were saved."""
  counts = mask_values.total([x.counts for x in parts])
  doubt = ''
  if len(counts) == 2 and objects is None:
    objects = frozenset({_brighter(parts, counts, known)})
    doubt = _doubt(parts, counts, objects, known)
  ends = mask_values.ends(mask_values.levels(counts))
  if len(counts) > 2 and _is_blurred(parts, ends):
    is_turned = objects is not None and _are_at(objects, ends[0], ends)
    if objects is None or is_turned or _are_at(objects, ends[1], ends):
      return _blurred(counts, ends, is_turned)
  if objects is None and len(counts) > 2:
    _ask(known)
  text = ''
  if objects is not None:
    names = [object_values.name(known, key) for key in sorted(objects)]
    verb = 'is' if len(names) == 1 else 'are'
    text = f'masks: {", ".join(names)} {verb} the object{doubt}'
  return Reading(text, False, objects or frozenset(), None, False, None, 1)


def _ask(known: Known) -> None:
  example = sorted(known.counts, key=lambda key: -known.counts[key])[1]
  raise UserError(
    f'masks hold {len(known.counts)} values, and which of them are the object '
    f'is not clear: {object_values.listed(known)}; name them, such as '
    f'--config.{object_values.FIELD}={_short_name(known, example)}.'
  )


def _brighter(parts, counts, known):
  dark, bright = sorted(
    counts, key=lambda key: mask_files.luminance(np.array([key]))[0]
  )
  if bright >= COLOUR or dark >= COLOUR:
    edges = mask_values.total([x.edges for x in parts])
    if edges[bright] > edges[dark]:
      _ask(known)  # as it is more likely a bright background
  return bright


def _doubt(parts, counts, objects, known):
  """Returns a word where the object is along the photos' edges."""
  edges = mask_values.total([x.edges for x in parts])
  if 2 * sum(edges[key] for key in objects) <= sum(edges.values()):
    return ''
  (other,) = counts.keys() - objects
  return (
    ', though most edges of photos are; if that is the background, give '
    f'--config.{object_values.FIELD}={_short_name(known, other)}'
  )


def _short_name(known, key):
  """Returns a value's name as `data.object_values` takes it."""
  return object_values.name(known, key).split()[0]


class _Shares(NamedTuple):
  """Pixels by their levels."""

  nearly_low: int
  between: int  # and outside
  nearly_high: int
  high: int
  all: int


def _shares(levels, ends):
  low, high = ends
  step = (high - low) * NEAR
  index = np.arange(256)
  at_low, at_high = abs(index - low) <= step, abs(index - high) <= step
  return _Shares(
    levels[at_low].sum() - levels[low],
    levels[~at_low & ~at_high].sum(),
    levels[at_high].sum() - levels[high],
    levels[at_high].sum(),
    levels.sum(),
  )


def _is_blurred(
  parts: Sequence[Values], ends: tuple[int, int] | None, is_lossy: bool = False
) -> bool:
  """Returns whether there are two values, and between them but their border."""
  if ends is None:
    return False
  levels = mask_values.levels(mask_values.total([x.counts for x in parts]))
  different = np.flatnonzero(levels)
  if ends[1] >= _WHITISH:
    different = np.unique(np.minimum(different, _WHITISH))
  shares = _shares(levels, ends)
  if shares.between:
    least = _LEAST_BESIDE[is_lossy or len(different) >= _MANY_LEVELS]
    between = max(sum(x.between for x in parts), 1)
    if (
      shares.between > _MOST_BETWEEN * shares.all
      or sum(x.beside for x in parts) < least * between
    ):
      return False
    enough = len(different) >= _FEWEST_LEVELS
  else:
    both = shares.nearly_low > 0 and shares.nearly_high > 0
    enough = both or len(different) == 2
  few_near = shares.nearly_low < _MOST_NEAR * shares.high
  return is_lossy or (enough and few_near)


def _are_at(objects, end, ends):
  light = mask_files.luminance(np.array(sorted(objects)))
  return (abs(light - end) <= NEAR * (ends[1] - ends[0])).all()


def _blurred(
  counts: Mapping[int, int], ends: tuple[int, int], is_turned: bool
) -> Reading:
  low, high = ends
  shares = _shares(mask_values.levels(counts), ends)
  near = shares.nearly_low + shares.nearly_high
  is_soft = (
    low <= _SOFT_ENDS[0]
    and high >= _SOFT_ENDS[1]
    and near <= _NOISE * shares.between
  )
  if is_turned:
    low, high = high, low
  if is_soft:
    ends = (0.0, 255.0) if low < high else (255.0, 0.0)
    text = f'masks are soft, from {low}, background, to {high}, object'
  else:
    ends = float(low), float(high)
    share = (near + shares.between) / shares.all
    text = (
      f'masks: {high} is the object, {low} is not, and {share:.2%} of pixels '
      'have other values, which are cut at one half'
    )
  return Reading(text, False, frozenset(), ends, is_soft, None, 1)


def _lossy(
  parts: Sequence[Values],
  known: Known,
  objects: frozenset[int] | None,
  exact: Reading | None,
) -> Reading:
  """Adds how the masks are read whose format has changed their values."""
  counts = mask_values.total([x.counts for x in parts])
  ends = mask_values.ends(mask_values.levels(counts))
  if ends is None:  # of a single value: the others tell
    ends = mask_values.ends(mask_values.levels(known.counts))
  if not _is_blurred(parts, ends, is_lossy=True):
    return _no_lossy(known, exact)
  ends = float(ends[0]), float(ends[1])
  if objects is not None:
    if _are_at(objects, ends[0], ends):
      ends = ends[::-1]
    elif not _are_at(objects, ends[1], ends):
      return _no_lossy(known, exact)
  text = _cost(parts, ends)
  if exact is None:
    return Reading(text, False, frozenset(), ends, False, ends, 1)
  if not exact.text:  # of a single value
    return exact._replace(text=text, ends=ends, lossy_ends=ends)
  return exact._replace(text=f'{exact.text}; {text}', lossy_ends=ends)


def _no_lossy(known, exact):
  if exact is not None and exact.text:
    return exact  # and each such file is refused by its name
  raise UserError(
    'masks are JPGs with more values than object and background, which JPG '
    f'mixes: {object_values.listed(known)}; save them as PNG from where they '
    'come.'
  )


def _cost(parts: Sequence[Values], ends: tuple[float, float]) -> str:
  """Says what the noise of JPG may cost."""
  quarter = 0.75 * ends[0] + 0.25 * ends[1], 0.25 * ends[0] + 0.75 * ends[1]
  low, high = sorted(ends)
  total = mask_values.levels(mask_values.total([x.counts for x in parts]))
  shares = _shares(total, (int(low), int(high)))
  dices = []
  index = np.arange(256)
  sign = 1 if ends[0] < ends[1] else -1
  for x in parts:
    levels = mask_values.levels(x.counts)
    wide, narrow = (levels[sign * index >= sign * q].sum() for q in quarter)
    if wide:
      dices.append(2 * narrow / (wide + narrow))
  number = names_in_messages.counted(len(parts), 'mask')
  return (
    f'{number} saved as JPG or the like, cut at one half: '
    f'{shares.between / shares.all:.2%} of pixels are neither near background '
    'nor near object, and Dice between masks cut at a quarter and at three '
    f'quarters is {np.mean(dices or [1]):.4f}'
  )
