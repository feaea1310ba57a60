"""What the commands that predict many photos have in common.

Which photos are looked at together or by which process, and whose results a
folder holds.
"""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def claim(folder: pathlib.Path, settings: dict[str, Any]) -> None:
  """Makes a folder for what is made with some settings, if it is not there.

  Args:
    folder: its settings.json says what the other files were made with.
    settings: as for JSON; those that are not in the file yet are added.

  Raises:
    UserError: it holds what was made with others.
  """
  path = folder / 'settings.json'
  there = files.read_json(path) if path.exists() else {}
  differing = [x for x in settings if there.get(x, settings[x]) != settings[x]]
  if differing:
    raise UserError(
      f'{folder} holds results of other settings ({", ".join(differing)}); '
      'remove it or choose another --output.'
    )
  folder.mkdir(parents=True, exist_ok=True)
  files.write(path, json.dumps(there | settings, indent=2) + '\n')


@contextlib.contextmanager
def unclaimed_if_empty(folder: pathlib.Path, is_shared: bool) -> Iterator[None]:
  """Takes back a `claim` where an exception comes before anything was made.

  Args:
    folder: the one that is claimed.
    is_shared: whether other processes write into it, too, and may need it.
  """
  path = folder / 'settings.json'
  was_folder, was_claimed = folder.exists(), path.exists()
  try:
    yield
  except Exception:
    if path.exists() and not was_claimed and not is_shared:
      with contextlib.suppress(OSError):  # not empty
        if list(folder.iterdir()) == [path]:
          path.unlink()
        if not was_folder:
          folder.rmdir()
    raise


def refuse_all_failed(failed: dict[str, str], count: int) -> None:
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


def write_failures(path: pathlib.Path, failed: dict[str, str]) -> None:
  """Writes {photo: reason} as CSV with the columns photo and reason.

  Without any, there is no such file, and an older one is removed.
  """
  if not failed:
    path.unlink(missing_ok=True)
    return
  rows = [
    {'photo': photo, 'reason': reason} for photo, reason in failed.items()
  ]
  files.write(path, files.csv_text(rows))
