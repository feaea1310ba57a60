"""Checksums (SHA-256) that tell whether files are as they were written."""

import hashlib
import json
import pathlib

from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def write(folder: pathlib.Path, record: pathlib.Path) -> None:
  """Records the checksums of all files below a folder.

  Args:
    folder: a folder whose files are complete and will not change.
    record: a JSON file outside it, for {'sub/file': SHA-256 in hex}; the folder
      that it is in is made if it is missing.
  """
  sums = {
    str(path.relative_to(folder)): _sha256(path)
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }
  record.parent.mkdir(exist_ok=True)
  files.write(record, json.dumps(sums, indent=2) + '\n')


def damage(folder: pathlib.Path, record: pathlib.Path) -> str | None:
  """Returns what is wrong with the files whose checksums `write` recorded.

  Args:
    folder: the folder; files that were added since are ignored.
    record: the JSON file that `write` made.

  Returns:
    Words such as 'state/manifest.ocdbt is missing'; None if nothing is wrong,
    or if there is no record.
  """
  if not record.exists():
    return None
  try:
    sums = files.read_json(record)
  except UserError:
    return f'{record.name}, its list of checksums, is damaged'
  for name, expected in sums.items():
    try:
      actual = _sha256(folder / name)
    except FileNotFoundError:
      return f'{name} is missing'
    except OSError as error:
      return f'{name} cannot be read ({error.strerror})'
    if actual != expected:
      return f'{name} is not as it was written'
  return None


def _sha256(path):
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
