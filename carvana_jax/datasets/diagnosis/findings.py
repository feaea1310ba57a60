"""All checks of a data set, made from the facts about its files."""

from collections.abc import Sequence
from typing import NamedTuple

from carvana_jax.datasets import spec
from carvana_jax.datasets.diagnosis import (
  compared_files,
  mask_outliers,
  misfits,
  single_files,
)
from carvana_jax.datasets.diagnosis.file_facts import (
  Facts,
  MaskFacts,
  PhotoFacts,
)
from carvana_jax.datasets.diagnosis.pairs import CAR, Collection
from carvana_jax.datasets.diagnosis.single_files import Finding

WRONG = 'wrong'  # training on it would be wrong
LOOK = 'look'  # a person should look at it

_TURN = 8  # views that are a turn; fewer may be front, sole and box


class CheckResult(NamedTuple):
  """What a check of a data set has come to."""

  name: str  # of the check
  severity: str  # WRONG or LOOK
  examined: str  # how many of what
  findings: list[Finding]  # the largest deviation first


def diagnose(
  facts: Sequence[Facts], collection: Collection
) -> list[CheckResult]:
  """Makes all checks of a data set.

  Args:
    facts: of the collection's pairs, one or more.
    collection: the pairs, and what holds for all of them.

  Returns:
    The result of every check, in the order of their table.
  """
  photos = sum(isinstance(x.photo, PhotoFacts) for x in facts)
  masks = sum(isinstance(x.mask, MaskFacts) for x in facts)
  files = sum((x.photo is not None) + (x.mask is not None) for x in facts)
  thing = collection.thing
  groups = 'cars' if thing == CAR else 'groups'
  cars = f'{len({x.pair.car_id for x in facts})} {groups}'
  views = spec.VIEWS if thing == CAR else compared_files.views_of(facts)
  turn = views if views >= _TURN else 0
  fits = misfits.count(facts)
  unpaired = single_files.unpaired(facts, thing)
  extremes = list(single_files.extremes(facts, thing))
  misfitting = list(misfits.misfits(facts, thing))
  incomplete = compared_files.incomplete_cars(facts, views)
  exact = list(compared_files.equal_photos(facts))
  near = list(compared_files.near_photos(facts))
  leaks = [
    *compared_files.split_cars(facts),
    *filter(_crosses, [*exact, *near]),
  ]
  doubles = [*_within(exact), *compared_files.equal_masks(facts)]
  odd_areas, areas = compared_files.odd_masks(
    facts, mask_outliers.outliers, turn, f'that view of other {groups}'
  )
  odd_views, beside = compared_files.odd_masks(
    facts, mask_outliers.disagreeing, turn, 'the views beside it'
  )
  odd_studios, studios = compared_files.odd_studios(
    facts, {x.pair for x in (*extremes, *misfitting)}
  )
  size, kind = collection.photo_size, collection.photo_kind
  checks = (
    ('photo or mask missing', WRONG, f'{len(facts)} pairs', unpaired),
    ('unreadable', WRONG, f'{files} files', single_files.unreadable(facts)),
    ('size', WRONG, f'{photos + masks} files', single_files.sizes(facts, size)),
    ('mode', WRONG, f'{photos + masks} files', single_files.modes(facts, kind)),
    ('mask values', WRONG, f'{masks} masks', single_files.values(facts)),
    ('empty or full mask', WRONG, f'{masks} masks', extremes),
    ('mask of its photo', WRONG, f'{fits} masks', misfitting),
    ('exact duplicate', WRONG, f'{photos + masks} files', doubles),
    ('split leakage', WRONG, cars, leaks),
    ('wrong bytes', LOOK, f'{photos} photos', single_files.garbled(facts)),
    ('near duplicate', LOOK, f'{photos} photos', _within(near)),
    ('missing views', LOOK, cars, incomplete),
    ('mask area', LOOK, f'{areas} masks', odd_areas),
    ('neighbouring views', LOOK, f'{beside} masks', odd_views),
    ('same studio', LOOK, f'{studios} photos', odd_studios),
  )
  return [
    CheckResult(
      name, severity, examined, sorted(_worded(found, thing), key=_least)
    )
    for name, severity, examined, found in checks
  ]


def _worded(findings, thing):
  """Yields the findings; nobody has downloaded photos of their own."""
  for x in findings:
    if thing != CAR:
      remedy = x.remedy.replace('download it', 'save it')
      # The options of photos of one's own are flags of doctor's.
      x = x._replace(remedy=remedy.replace('--config.data.', '--'))
    yield x


def _least(finding):
  return -finding.deviation


def _crosses(finding):
  return finding.pair.split != finding.other.split


def _within(findings):
  return [finding for finding in findings if not _crosses(finding)]
