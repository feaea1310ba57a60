"""A list of photos that could not be read, for people and for programs."""

import csv
import io
import pathlib

from carvana_jax import atomic


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
  atomic.write(path, text.getvalue())
