"""The list of photos by how much the networks doubt their masks.

    OUTPUT/doubt.csv     a line a photo, the most doubtful first

It names the photos whose masks are worth a look, or mending by hand.
"""

import pathlib
import statistics
from collections.abc import Iterable
from typing import Any

from carvana_jax.datasets import names
from carvana_jax.inference import photo_records, photos
from carvana_jax.masks.doubt import Doubt
from carvana_jax.system import files, names_in_messages

_FILE = 'doubt.csv'
_SEVERAL = 0.01  # of a mask beside its largest part: it has several parts
_NAMED = 3  # photos in the line that tells of the list


def write(output: pathlib.Path, found: Iterable[photos.Photo]) -> None:
  """Lists the photos of which there are masks, and says which to look at.

  Of several processes each lists what all have made so far, so the last one
  lists everything.

  Args:
    output: the folder of masks.
    found: the photos.
  """
  found, rows = list(found), None
  # Once more where another process has recorded masks in between: of two that
  # end at once, the list of the slower one counts.
  while rows != (rows := _rows(output, found)):
    if rows:
      files.write(output / _FILE, files.csv_text(rows))
  if rows:
    print(_text(output, rows))


def score(doubt: Doubt, one_part: bool) -> float:
  """Returns an estimate of a mask's 1 - Dice, 0..1.

  Args:
    doubt: of the mask.
    one_part: whether objects have one part, so that all but the largest one of
      a mask is wrong.
  """
  apart = doubt.apart / (2 - doubt.apart) if one_part else 0  # as 1 - Dice
  return min(doubt.margin + apart, 1.0)


def _rows(output, found) -> list[dict[str, Any]]:
  """Returns the lines of the list, in order; unknown doubt comes last."""
  records = photo_records.Records(output)
  made_of = lambda photo: records[photo.name].made.get(names.MASK_ENDING)
  unknown = None, photo_records.UNKNOWN
  made = [photo for photo in found if made_of(photo) not in unknown]
  doubts = [records[photo.name].doubt for photo in made]
  known = [doubt.apart for doubt in doubts if doubt]
  one_part = not known or statistics.median(known) < _SEVERAL
  rows = [
    {
      'photo': photo.file,
      'doubt': f'{score(doubt, one_part):.4f}' if doubt else '',
      'object': f'{doubt.covered:.4f}' if doubt else '',
      'mask': f'{photo.name}{names.MASK_ENDING}',
    }
    for photo, doubt in zip(made, doubts, strict=True)
  ]
  return sorted(rows, key=lambda row: -float(row['doubt'] or -1))


def _text(output, rows):
  known = [row for row in rows if row['doubt']]
  text = f'the photos by how much their masks are doubted: {output / _FILE}'
  first = [
    f'{names_in_messages.printable(row["photo"])} {float(row["doubt"]):.3f}'
    for row in known[:_NAMED]
  ]
  if first:
    text += f'; most: {", ".join(first)}'
  if len(known) < len(rows):
    masks = names_in_messages.counted(len(rows) - len(known), 'mask')
    text += f'; not known of {masks}, which an older version made'
  return text
