"""Scores a finished run at full size, image by image.

    python -m carvana_jax.evaluate --workdir=runs/studio
    python -m carvana_jax.evaluate --workdir=runs/a --split=validation
    python -m carvana_jax.evaluate --workdir=runs/a --dataset=carvana \\
        --manual_dir=FOLDER --split=all

Photos are reduced to the network's size, its logits enlarged to the full size
of the data set and compared with the full-size masks. Writes
WORKDIR/evaluation/DATASET-SPLIT/summary.json and images.csv.
"""

import collections
import csv
import itertools
import json
import os
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from tqdm import tqdm

from carvana_jax import checkpoint, cli, parallel, prepare, steps
from carvana_jax.datasets import images, spec, workers
from carvana_jax.errors import UserError

_LABELS = ('filename', 'car_id', 'view', 'make', 'model')
_SCORES = ('dice', 'iou', 'accuracy')


def evaluate(
  run: checkpoint.Run, data_config, split: str, folder: pathlib.Path
) -> dict:
  """Scores one split and writes the results.

  Args:
    run: a trained network.
    data_config: `config.data` of the data set to score on.
    split: train, validation, test, or all (every labelled image).
    folder: the run's workdir.

  Returns:
    The summary, as in summary.json.
  """
  size = prepare.full_size(data_config)
  builder = prepare.dataset(data_config, size)
  rows = list(_scored(run, builder, _labelled(builder, split)))
  rows.sort(key=lambda row: row['dice'])
  dice = np.array([row['dice'] for row in rows])
  summary = {
    'dice_mean': float(dice.mean()),
    'dice_median': float(np.median(dice)),
    'dice_worst': float(dice.min()),
    'iou_mean': float(np.mean([row['iou'] for row in rows])),
    'accuracy_mean': float(np.mean([row['accuracy'] for row in rows])),
    'images': len(rows),
    'cars': len({row['car_id'] for row in rows}),
    'size': size,
    'network_size': run.config.data.size,
    'threshold': run.config.eval.threshold,
    'dataset': builder.info.full_name,
    'data': str(builder.data_path),
    'split': split,
    'step': run.step,
  }
  target = folder / 'evaluation' / f'{data_config.dataset}-{split}'
  _write(target, summary, rows)
  print(_table(summary, target))
  return summary


def _labelled(builder, split):
  """The split's name for TFDS."""
  there = [name for name in builder.info.splits if name != 'unlabeled']
  if split == 'all':
    return '+'.join(there)
  if split not in there:
    raise UserError(
      f'{builder.info.full_name} has no car in its {split} split; '
      f'it has {", ".join(there)}.'
    )
  return split


def _scored(run, builder, split) -> Iterator[dict]:
  """A row of results for every image, in the order of the split."""
  step = parallel.eval_step(
    steps.make_eval_step(run.model, run.config.eval.threshold)
  )
  skip = tfds.decode.SkipDecoding()
  source = builder.as_data_source(split, decoders={'image': skip, 'mask': skip})
  # The devices of this machine may be others than the run's.
  devices = jax.local_device_count()
  batch_size = -(-run.config.eval.batch_size // devices) * devices
  waiting = collections.deque()  # labels of the batches under way

  def pixels():
    for labels, batch in _batches(source, run.config.data.size, batch_size):
      waiting.append(labels)
      yield batch

  with tqdm(
    total=len(source), desc=split, unit='image', leave=False, disable=None
  ) as bar:
    for batch in parallel.to_devices(pixels(), ahead=1):
      values = parallel.to_host(step(run.variables, batch))
      labels = waiting.popleft()
      for position, label in enumerate(labels):
        yield label | {name: float(x[position]) for name, x in values.items()}
      bar.update(len(labels))


def _batches(source, network_size, batch_size):
  """Yields labels of images and a batch of them.

  The batch holds photos at the network's size and full-size masks. There is a
  label for every real image; padding has none.
  """
  size = spec.parse_size(network_size)

  def load(index):
    example = source[index]
    label = {name: _plain(example[name]) for name in _LABELS}
    photo = images.decode_photo(example['image'])
    mask = images.decode_mask(example['mask'])
    return label, images.reduce(photo, *size), mask

  loaded = workers.ordered_map(load, range(len(source)))
  while chunk := list(itertools.islice(loaded, batch_size)):
    labels, photos, masks = zip(*chunk, strict=True)
    missing = batch_size - len(chunk)
    batch = {
      'image': np.stack(photos + photos[:1] * missing),
      'mask': np.stack(masks + masks[:1] * missing),
    }
    yield labels, batch


def _plain(value):
  """A feature as str or int."""
  return value.decode() if isinstance(value, bytes) else int(value)


def _write(target, summary, rows):
  """Writes both files aside first, so that neither is ever half there."""
  target.mkdir(parents=True, exist_ok=True)
  with (target / 'images.tmp').open('w', newline='') as file:
    writer = csv.DictWriter(file, _LABELS + _SCORES, extrasaction='ignore')
    writer.writeheader()
    writer.writerows(rows)
  os.replace(target / 'images.tmp', target / 'images.csv')
  (target / 'summary.tmp').write_text(json.dumps(summary, indent=2) + '\n')
  os.replace(target / 'summary.tmp', target / 'summary.json')


def _table(summary, target):
  """The summary for people, at most 80 columns wide."""
  lines = [
    f'{summary["dataset"]} {summary["split"]}: {summary["images"]} images of '
    f'{summary["cars"]} cars, scored at {summary["size"]} '
    f'(network {summary["network_size"]})',
    f'{"":10}{"mean":>9}{"median":>9}{"worst":>9}',
    f'{"Dice":10}{summary["dice_mean"]:9.5f}{summary["dice_median"]:9.5f}'
    f'{summary["dice_worst"]:9.5f}',
    f'{"IoU":10}{summary["iou_mean"]:9.5f}',
    f'{"accuracy":10}{summary["accuracy_mean"]:9.5f}',
    f'written to {target}',
  ]
  return '\n'.join(lines)


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  workdir = pathlib.Path(args.workdir).expanduser().absolute()
  run = checkpoint.load(workdir)
  data_config = run.config.data
  if args.dataset:
    data_config.dataset = args.dataset
    data_config.full_size = ''
  if args.manual_dir:
    if data_config.dataset != 'carvana':
      raise UserError('--manual_dir is of no use without --dataset=carvana.')
    data_config.manual_dir = args.manual_dir
  evaluate(run, data_config, args.split, workdir)


if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  flags.DEFINE_enum(
    'dataset',
    None,
    list(prepare.FULL_SIZES),
    'Scored at its own full size. Default: the one that the run trained on.',
  )
  flags.DEFINE_enum(
    'split',
    'test',
    ['train', 'validation', 'test', 'all'],
    'The images to score; all are all labelled ones.',
  )
  flags.DEFINE_string(
    'manual_dir', None, 'Folder of the Kaggle files, for carvana.'
  )
  cli.run(main)
