"""This project's side of benchmarks/input.py: prepared files -> devices.

    python -m benchmarks.batches --manual_dir=FOLDER --sizes=256x256 --images=99

Prints as JSON what `clock.course` gives for each size, and as `kept` the same
once more with the photos in memory, as from the second epoch on. Data that are
missing are prepared before the clock starts.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_list('sizes', None, 'HEIGHTxWIDTH,…', required=True)
  flags.DEFINE_integer('images', None, 'How many of each.', required=True)
  flags.DEFINE_integer('batch_size', 16, 'Images a batch.')
  flags.DEFINE_string('dataset', 'carvana', 'carvana or studio.')
  flags.DEFINE_string('data_dir', 'data', 'Where prepared data are kept.')
  flags.DEFINE_string('manual_dir', '', 'Folder of the Kaggle files.')
  cli.parse()

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import jax
import tensorflow_datasets as tfds

from benchmarks.frameworks import clock
from carvana_jax.configs import default
from carvana_jax.datasets import decoded, input_pipeline, prepare
from carvana_jax.parallel import devices
from carvana_jax.system import malloc


def batches(
  builder: tfds.core.DatasetBuilder,
  images: int,
  batch_size: int,
  kept: decoded.Decoded | None = None,
) -> Iterator[int]:
  """Yields the number of images of each batch once it is on the devices.

  Args:
    builder: of the prepared data, whose split `train` is read.
    images: how many in all; what does not fill a batch is left out.
    batch_size: images a batch.
    kept: as for `input_pipeline.batches`.
  """
  found = input_pipeline.batches(
    builder,
    'train',
    batch_size=batch_size,
    steps=range(images // batch_size),
    seed=0,
    kept=kept,
  )
  for batch in devices.to_devices(found):
    jax.block_until_ready(batch)
    yield batch['weight'].size


def courses(
  builder: tfds.core.DatasetBuilder, images: int, batch_size: int
) -> dict[str, Any]:
  """Takes the batches twice; returns the first course, with the `kept` one."""
  features = builder.info.features
  count = builder.info.splits['train'].num_examples
  shapes = {'train': decoded.Shape(count, features['image'].shape)}
  kept = decoded.keep(shapes).get('train')
  first, second = (
    clock.course(batches(builder, images, batch_size, kept)) for _ in range(2)
  )
  return first | {'kept': second}


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  malloc.keep_freed()
  data = default.get_config().data
  data.dataset = args.dataset
  data.data_dir = args.data_dir
  data.manual_dir = args.manual_dir
  with contextlib.redirect_stdout(sys.stderr):
    builders = {size: prepare.dataset(data, size) for size in args.sizes}
    found = {
      size: courses(builder, args.images, args.batch_size)
      for size, builder in builders.items()
    }
  print(json.dumps(found))


if __name__ == '__main__':
  cli.run(main)
