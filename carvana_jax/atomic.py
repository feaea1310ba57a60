"""Files that are never there in part."""

import os
import pathlib


def write(path: pathlib.Path, content: str | bytes) -> None:
  """Writes a file aside, then renames it, so readers see all of it or none."""
  aside = path.with_name(path.name + '.tmp')
  if isinstance(content, str):
    aside.write_text(content)
  else:
    aside.write_bytes(content)
  os.replace(aside, path)
