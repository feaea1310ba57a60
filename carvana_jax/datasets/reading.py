"""Opens data sets that `prepare.py` has prepared, and reads their examples.

Damaged files are a `UserError`.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from carvana_jax.system.errors import UserError


@contextlib.contextmanager
def readable_errors(folder: pathlib.Path) -> Iterator[None]:
  """Turns whatever is raised while a data set is opened into a `UserError`.

  Args:
    folder: the folder of the data set, or one that holds it.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:  # each reader has kinds of its own
    reason = ' '.join(str(error).split())[:200]
    raise UserError(
      f'{folder} is damaged ({reason}); remove the folder and prepare it again.'
    ) from error


def open_folder(folder: pathlib.Path) -> tfds.core.DatasetBuilder:
  """Opens the data set in a folder that holds a dataset_info.json.

  Raises:
    UserError: its files are missing or damaged.
  """
  with readable_errors(folder):
    return tfds.builder_from_directory(folder)


def undecoded_examples(
  builder: tfds.core.DatasetBuilder, split: str
) -> Sequence[Mapping[str, Any]]:
  """Opens examples to be read in any order, images as their files' bytes.

  Args:
    builder: a data set in random-access files.
    split: the split as TFDS names it, or several joined by +.

  Returns:
    The examples, each of which is read when it is asked for.
  """
  skip = tfds.decode.SkipDecoding()
  decoders = {
    name: skip
    for name, feature in builder.info.features.items()
    if isinstance(feature, tfds.features.Image)
  }
  return builder.as_data_source(split, decoders=decoders)


def refuse_damaged(builder: tfds.core.DatasetBuilder) -> None:
  """Raises a `UserError` where files of a data set are missing or cut off.

  Looks at the first and the last example of every split, so it does not notice
  wrong bits in between.
  """
  with readable_errors(pathlib.Path(builder.data_path)):
    if not builder.info.splits:
      raise ValueError('dataset_info.json is missing or names no split')
    for split in builder.info.splits:
      examples = undecoded_examples(builder, split)
      for position in (0, len(examples) - 1):
        examples[position]
