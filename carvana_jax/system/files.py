"""Files that are never there in part, JSON files, folders to write to."""

import contextlib
import csv
import io
import json
import os
import pathlib
import uuid
from collections.abc import Sequence
from typing import Any

from carvana_jax.system.errors import UserError


def write(path: pathlib.Path, content: str | bytes) -> None:
  """Writes a file aside, then renames it, so readers see all of it or none."""
  if isinstance(content, str):
    content = content.encode()
  # A name of its own: several processes may write the same file.
  aside = path.with_name(f'.{path.name}.{uuid.uuid4().hex[:8]}.tmp')
  try:
    aside.write_bytes(content)
    os.replace(aside, path)
  except BaseException:
    with contextlib.suppress(OSError):
      aside.unlink()
    raise


def remove_leftovers(folder: pathlib.Path, name: str = '*') -> None:
  """Removes what `write` leaves aside if its process is killed.

  Args:
    folder: where nobody is writing these files now.
    name: of the files, a pattern.
  """
  for aside in folder.glob(f'.{name}.*.tmp'):
    aside.unlink()


def check_folder(path: pathlib.Path, flag: str = '--output') -> None:
  """Raises a `UserError` where a folder can't be made, or written to.

  For commands that work for a while before they write.

  Args:
    path: of the folder, absolute.
    flag: that it was given by.
  """
  there = next(x for x in (path, *path.parents) if x.exists())
  if not there.is_dir():
    raise UserError(f'{there} is no folder; choose another {flag}.')
  as_now = os.access in os.supports_effective_ids
  if not os.access(there, os.W_OK | os.X_OK, effective_ids=as_now):
    raise UserError(
      f'{there} may not be written to; change its permissions or choose '
      f'another {flag}.'
    )


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """The object in a JSON file; `UserError` where the file is damaged.

  No number in it is NaN or infinite.
  """
  try:
    found = json.loads(path.read_text(), parse_constant=_refuse)
    if isinstance(found, dict):
      return found
  except (ValueError, RecursionError):
    pass
  raise UserError(f'{path} is damaged; remove it.')


def _refuse(constant):
  raise ValueError(constant)


def csv_text(rows: Sequence[dict]) -> str:
  """Rows of the same fields as CSV, after a line of the fields' names."""
  table = io.StringIO()
  writer = csv.DictWriter(table, list(rows[0]), lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  return table.getvalue()
