"""The findings on a folder or a data set as a table, a CSV and a picture."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from carvana_jax.configs import default
from carvana_jax.datasets.diagnosis import (
  file_facts,
  findings,
  pairs,
  suspects_sheet,
)
from carvana_jax.system import files, progress, threads
from carvana_jax.system.errors import UserError

_NAMED = 10  # findings in the terminal
_WIDTH = 80  # of the terminal
_COLUMNS = (
  'check', 'severity', 'file', 'car', 'view', 'value', 'expected', 'remedy'
)  # fmt: skip


def examine(collection: pairs.Collection) -> list[file_facts.Facts]:
  """Reads every file of a collection once, on all cores."""
  examined = threads.ordered_map(
    lambda pair: file_facts.examine(pair(), collection), collection.pairs
  )
  return list(progress.bar(examined, total=len(collection.pairs), unit='photo'))


def table(checks: Sequence[findings.CheckResult]) -> str:
  """Returns a line for each check, then the worst findings, 80 columns wide."""
  row = '{:24}{:>14}{:>10}  {}'
  lines = [row.format('check', 'examined', 'findings', 'severity')]
  for check in checks:
    count = len(check.findings)
    severity = check.severity if count else ''
    lines.append(row.format(check.name, check.examined, count, severity))
  named = _worst_first(checks)[:_NAMED]
  if named:
    lines.append('')
  for check, finding in named:
    line = f'{check.severity:6}{finding.file}: {finding.value}'
    lines.append(line if len(line) <= _WIDTH else f'{line[: _WIDTH - 1]}…')
  return '\n'.join(lines)


def _worst_first(checks):
  """Returns (check, finding), what is wrong and deviates most first."""
  found = [(check, finding) for check in checks for finding in check.findings]
  return sorted(
    found, key=lambda x: (x[0].severity != findings.WRONG, -x[1].deviation)
  )


def report(checks: Sequence[findings.CheckResult]) -> str:
  """Returns the findings as CSV, the worst first."""
  rows = [
    {
      'check': check.name,
      'severity': check.severity,
      'file': finding.file,
      'car': finding.pair.car_id,
      'view': finding.pair.view,
      'value': finding.value,
      'expected': finding.expected,
      'remedy': finding.remedy,
    }
    for check, finding in _worst_first(checks)
  ]
  return files.csv_text(rows, _COLUMNS, line_end='\r\n')


def suspects(
  checks: Sequence[findings.CheckResult], examined: Sequence[file_facts.Facts]
) -> list[tuple[pairs.Pair, str]]:
  """Chooses the pairs of the contact sheet.

  These are the worst ones, each once and followed by the one that it was
  compared with. If there are none, they are some of as many cars as possible,
  for people to look at.

  Args:
    checks: what has been found.
    examined: all pairs, with their facts.

  Returns:
    (pair, caption), at most `suspects_sheet.MOST` of them.
  """
  captions = {}  # by file: one may be in two splits
  for _, finding in _worst_first(checks):
    reason = f'{finding.value}; expected: {finding.expected}'
    captions.setdefault(str(finding.pair), (finding.pair, reason))
    if finding.other:
      other = f'compared with {finding.file}'
      captions.setdefault(str(finding.other), (finding.other, other))
  chosen = list(captions.values()) or [
    (pair, 'at random') for pair in _of_many_cars([x.pair for x in examined])
  ]
  return [
    (pair, f'{pathlib.Path(str(pair)).name}: {reason}')
    for pair, reason in chosen[: suspects_sheet.MOST]
  ]


def _of_many_cars(found):
  """Returns all pairs in a random order, but first one of each car."""
  order = np.random.default_rng(0).permutation(len(found))
  seen = collections.Counter()
  ranked = []
  for position in order:
    pair = found[position]
    ranked.append((seen[pair.car_id], pair))
    seen[pair.car_id] += 1
  return [pair for _, pair in sorted(ranked, key=lambda x: x[0])]


def places(output: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns where CSV and picture go, in place of those of an earlier call.

  Args:
    output: the folder of both.

  Raises:
    UserError: a file of either name is there that this command did not write.
  """
  listing, picture = output / 'report.csv', output / 'suspects.png'
  if listing.exists():
    with listing.open('rb') as file:
      is_own = file.readline().startswith(','.join(_COLUMNS[:3]).encode())
  else:
    is_own = not picture.exists()
  if not is_own:
    raise UserError(
      f'{output} has files of such names that doctor did not write; choose'
      ' another --output.'
    )
  return listing, picture


def collection_of(
  manual_dir: str | None,
  data: str | None,
  options: Mapping[str, Any] | None = None,
) -> pairs.Collection:
  """Finds the photos and masks that the flags of `doctor` name.

  Args:
    manual_dir: a folder of the competition's files, or of own ones, or None.
    data: the folder of a prepared data set, or None.
    options: fields of `config.data` for a user's own photos in `manual_dir`;
      None: it holds the competition's.

  Raises:
    UserError: not exactly one of them is given, or there are no pairs in it,
      or it is not clear what they are.
  """
  if (manual_dir is None) == (data is None):
    raise UserError(
      "give one of --manual_dir, a folder of the competition's files, and "
      '--data, a prepared data set; --dataset=folder is for photos of your own.'
    )
  if data is None and options is not None:
    config = default.get_config().data
    config.update({'dataset': 'folder', 'manual_dir': manual_dir, **options})
    return pairs.pairs_in_own_folder(config)
  if data is None:
    return pairs.pairs_in_folder(files.absolute(manual_dir))
  return pairs.pairs_in_dataset(files.absolute(data))
