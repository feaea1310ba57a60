"""All checks of a data set, made from the facts about its files."""

from collections.abc import Sequence
from typing import NamedTuple

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
from carvana_jax.datasets.diagnosis.pairs import Collection
from carvana_jax.datasets.diagnosis.single_files import Finding

WRONG = 'wrong'  # training on it would be wrong
LOOK = 'look'  # a person should look at it


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
  cars = len({x.pair.car_id for x in facts})
  fits = misfits.count(facts)
  unpaired = single_files.unpaired(facts)
  extremes = single_files.extremes(facts)
  incomplete = compared_files.incomplete_cars(facts)
  exact = list(compared_files.equal_photos(facts))
  near = list(compared_files.near_photos(facts))
  leaks = [
    *compared_files.split_cars(facts),
    *filter(_crosses, [*exact, *near]),
  ]
  doubles = [*_within(exact), *compared_files.equal_masks(facts)]
  odd_areas, areas = compared_files.odd_masks(
    facts, mask_outliers.outliers, 'that view of other cars'
  )
  odd_views, views = compared_files.odd_masks(
    facts, mask_outliers.disagreeing, 'the views beside it'
  )
  size, kind = collection.photo_size, collection.photo_kind
  checks = (
    ('photo or mask missing', WRONG, f'{len(facts)} pairs', unpaired),
    ('unreadable', WRONG, f'{files} files', single_files.unreadable(facts)),
    ('size', WRONG, f'{photos + masks} files', single_files.sizes(facts, size)),
    ('mode', WRONG, f'{photos + masks} files', single_files.modes(facts, kind)),
    ('mask values', WRONG, f'{masks} masks', single_files.values(facts)),
    ('empty or full mask', WRONG, f'{masks} masks', extremes),
    ('mask of its photo', WRONG, f'{fits} masks', misfits.misfits(facts)),
    ('exact duplicate', WRONG, f'{photos + masks} files', doubles),
    ('split leakage', WRONG, f'{cars} cars', leaks),
    ('wrong bytes', LOOK, f'{photos} photos', single_files.garbled(facts)),
    ('near duplicate', LOOK, f'{photos} photos', _within(near)),
    ('missing views', LOOK, f'{cars} cars', incomplete),
    ('mask area', LOOK, f'{areas} masks', odd_areas),
    ('neighbouring views', LOOK, f'{views} masks', odd_views),
  )
  return [
    CheckResult(name, severity, examined, sorted(findings, key=_least))
    for name, severity, examined, findings in checks
  ]


def _least(finding):
  return -finding.deviation


def _crosses(finding):
  return finding.pair.split != finding.other.split


def _within(findings):
  return [finding for finding in findings if not _crosses(finding)]
