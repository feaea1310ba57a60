"""Whether the files of a folder are as they were written: their SHA-256."""

import hashlib
import json
import pathlib

from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def write(folder: pathlib.Path, record: pathlib.Path) -> None:
  """Records the checksums of all files below a folder.

  Args:
    folder: whose files are whole and stay as they are.
    record: a JSON file outside of it, {'sub/file': SHA-256 in hex}.
  """
  sums = {
    str(path.relative_to(folder)): _sha256(path)
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }
  record.parent.mkdir(exist_ok=True)
  files.write(record, json.dumps(sums, indent=2) + '\n')


def damage(folder: pathlib.Path, record: pathlib.Path) -> str | None:
  """What is wrong with the files that `write` recorded.

  Args:
    folder, record: as for `write`. Files that came later are ignored.

  Returns:
    Words such as 'state/manifest.ocdbt is missing'; None if all is well, or
    if there is no record to tell.
  """
  if not record.exists():
    return None
  try:
    sums = files.read_json(record)
  except UserError:
    return f'{record.name}, its list of checksums, is damaged'
  for name, expected in sums.items():
    try:
      found = _sha256(folder / name)
    except FileNotFoundError:
      return f'{name} is missing'
    except OSError as error:
      return f'{name} cannot be read ({error.strerror})'
    if found != expected:
      return f'{name} is not as it was written'
  return None


def _sha256(path):
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
