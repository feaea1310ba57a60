"""A list of photos that could not be read, for people and for programs."""

import csv
import io
import pathlib

from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def refuse_all(failed: dict[str, str], count: int) -> None:
  """Raises a `UserError` where all of `count` photos failed.

  Args:
    failed: {photo: reason}.
    count: how many photos there are.
  """
  if not failed or len(failed) < count:
    return
  reason = failed[min(failed)]
  if count > 1:
    reason = f'none of the {count} photos is of use; the first: {reason}'
  raise UserError(reason)


def write(path: pathlib.Path, failed: dict[str, str]) -> None:
  """Writes {photo: reason} as CSV with the columns photo and reason.

  Without any, there is no such file, and an older one is removed.
  """
  if not failed:
    path.unlink(missing_ok=True)
    return
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['photo', 'reason'])
  writer.writerows(failed.items())
  files.write(path, text.getvalue())
