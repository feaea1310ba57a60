"""What the commands that predict many photos have in common.

Which photos are looked at together or by which process, and whose results a
folder holds.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from carvana_jax.datasets import spec
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def share() -> tuple[int, int]:
  """(process_id, num_processes); `UserError` where there is no such one."""
  index, count = flags.FLAGS.process_id, flags.FLAGS.num_processes
  if not 0 <= index < count:
    raise UserError(
      f'--process_id={index} must be from 0 to --num_processes={count} less 1.'
    )
  return index, count


def cars(names: Sequence[str], together: bool) -> list[list[str]]:
  """Lists of photos that are looked at together: those of a car, or single.

  Args:
    names: of photos' files, CAR_VIEW.jpg.
    together: whether a network compares the views of a car.

  Raises:
    UserError: a car has more views than there can be.
  """
  if not together:
    return [[name] for name in names]
  found = {}
  for name in names:
    stem = os.path.splitext(name)[0]
    found.setdefault(stem.rpartition('_')[0] or stem, []).append(name)
  for car, views in found.items():
    if len(views) > spec.VIEWS:
      raise UserError(
        f'{car}_… names {len(views)} photos, but a car has at most '
        f'{spec.VIEWS} views; name them CAR_VIEW.jpg.'
      )
  return list(found.values())


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
def unclaimed_if_empty(folder: pathlib.Path) -> Iterator[None]:
  """Takes back a `claim` where an exception comes before anything was made.

  Unless several processes share the photos, of which others may need it.
  """
  path = folder / 'settings.json'
  was_folder, was_claimed = folder.exists(), path.exists()
  try:
    yield
  except Exception:
    if path.exists() and not was_claimed and share()[1] == 1:
      with contextlib.suppress(OSError):  # not empty
        if list(folder.iterdir()) == [path]:
          path.unlink()
        if not was_folder:
          folder.rmdir()
    raise
