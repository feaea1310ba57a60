"""Scores a finished run at full size, image by image.

    python -m carvana_jax.evaluate --workdir=runs/studio
    python -m carvana_jax.evaluate --workdir=runs/a --split=validation
    python -m carvana_jax.evaluate --workdir=runs/a --dataset=carvana \\
        --manual_dir=FOLDER --split=all

Photos are reduced to the network's size, its logits enlarged to the full size
of the data set, and the masks compared with the full-size ones. Writes
WORKDIR/evaluation/DATASET-SPLIT/summary.json and images.csv.
"""

import csv
import io
import json
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from tqdm import tqdm

from carvana_jax import atomic, checkpoint, cli, metrics, predictor, prepare
from carvana_jax.datasets import images, workers
from carvana_jax.datasets.multiview import cars
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
  builder = prepare.for_scoring(data_config)
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
  """A row of results for every image."""
  skip = tfds.decode.SkipDecoding()
  source = builder.as_data_source(split, decoders={'image': skip, 'mask': skip})
  size = builder.info.features['image'].shape[:2]
  given = _with_truth(source, run.config.data)
  for (label, truth), mask in tqdm(
    predictor.masks(run, given, size),
    total=len(source),
    desc=split,
    unit='image',
    leave=False,
    disable=None,
  ):
    yield label | metrics.mask_scores(mask, truth)


def _with_truth(source, data_config):
  """Yields ((label, true mask), input of the network) for every image."""
  photo = lambda index: images.decode_photo(source[index]['image'])

  def load(item):
    index, given = item
    example = source[index]
    label = {name: _plain(example[name]) for name in _LABELS}
    return (label, images.decode_mask(example['mask']) > 127), given

  by_car = [range(len(source))]  # in one go, as it does not matter
  if data_config.multiview:
    by_car = cars.cars_of(source).values()
  given = predictor.inputs(by_car, photo, data_config)
  return workers.ordered_map(load, given)


def _plain(value):
  """A feature as str or int."""
  return value.decode() if isinstance(value, bytes) else int(value)


def _write(target, summary, rows):
  target.mkdir(parents=True, exist_ok=True)
  table = io.StringIO()
  writer = csv.DictWriter(table, _LABELS + _SCORES, extrasaction='ignore')
  writer.writeheader()
  writer.writerows(rows)
  atomic.write(target / 'images.csv', table.getvalue().encode())
  atomic.write(target / 'summary.json', json.dumps(summary, indent=2) + '\n')


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
