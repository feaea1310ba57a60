"""An output folder: the settings of its results, and photos that failed."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from carvana_jax.system import files
from carvana_jax.system.errors import UserError

_DIGEST = '_digest'  # what the name of a setting's digest ends with


def claim(
  folder: pathlib.Path,
  settings: dict[str, Any],
  notes: dict[str, Any] | None = None,
) -> None:
  """Makes a folder that holds results of some settings only.

  Args:
    folder: the folder, whose settings.json tells what its other files were made
      with. It need not exist.
    settings: as for JSON; those that are not in the file yet are added. Where
      there is a digest of what a setting NAME stands for, NAME_digest, either
      of the two must be as before.
    notes: what else the file is to say, which may differ from before.

  Raises:
    UserError: the folder holds results of other settings.
  """
  path = folder / 'settings.json'
  there = files.read_json(path) if path.exists() else {}
  is_other = lambda x: there.get(x, settings[x]) != settings[x]
  is_known = lambda x: x in there and x in settings and not is_other(x)
  differing = [
    x
    for x in settings
    if is_other(x) and not x.endswith(_DIGEST) and not is_known(x + _DIGEST)
  ]
  if differing:
    raise UserError(
      f'{folder} holds results of other settings ({", ".join(differing)}); '
      'remove it or choose another --output.'
    )
  there.pop(f'input{_DIGEST}', None)  # photos were told apart by it
  folder.mkdir(parents=True, exist_ok=True)
  settings = there | settings | (notes or {})
  files.write(path, json.dumps(settings, indent=2) + '\n')


@contextlib.contextmanager
def unclaimed_if_empty(folder: pathlib.Path, is_shared: bool) -> Iterator[None]:
  """Undoes a `claim` where an exception is raised before anything was made.

  Args:
    folder: the one to be claimed, before it is.
    is_shared: whether other processes write into it as well; then the claim
      stays, as they may need it.
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
    failed: the reasons by photo.
    count: how many photos there are.
  """
  if not failed or len(failed) < count:
    return
  reason = failed[min(failed)]
  if count > 1:
    reason = f'none of the {count} photos is of use; the first: {reason}'
  raise UserError(reason)


def write_failures(path: pathlib.Path, failed: dict[str, str]) -> None:
  """Writes a CSV with the columns photo and reason.

  Without any failures no file is written, and an older one is removed.

  Args:
    path: of the file.
    failed: the reasons by photo.
  """
  if not failed:
    path.unlink(missing_ok=True)
    return
  rows = [
    {'photo': photo, 'reason': reason} for photo, reason in failed.items()
  ]
  files.write(path, files.csv_text(rows))
