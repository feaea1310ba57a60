"""Scores a run at its network's own size, as published systems do.

They don't compare with scores at full size.
Masks are made of the network's own logits with a threshold of one half, without
the mirrored photo, a second network or any cleaning.
"""

import collections
import json
import pathlib
from collections.abc import Callable

import jax
import numpy as np
import tensorflow_datasets as tfds
from flax import linen as nn
from ml_collections import ConfigDict

from carvana_jax.datasets import (
  chosen_splits,
  folds,
  input_pipeline,
  names,
  prepare,
  reading,
)
from carvana_jax.evaluation import evaluate_run, split_facts
from carvana_jax.inference import predictor
from carvana_jax.metrics import overlap, soft_overlap
from carvana_jax.parallel import device_memory, devices
from carvana_jax.system import files, names_in_messages, progress
from carvana_jax.training import losses, run_folder, steps, trained_run


def evaluate(
  run: trained_run.Run,
  data_config: ConfigDict,
  split: str,
  folder: pathlib.Path | None,
) -> dict:
  """Scores one split, writes the result and prints it.

  Args:
    run: a trained network.
    data_config: `config.data` of the data set to score on.
    split: train, validation, test, or all (every labelled image).
    folder: in which `evaluation/` is, such as the run's workdir; None: the
      result is not written.

  Returns:
    The summary, as in summary.json.

  Raises:
    UserError: the data can't be prepared, have no such images, or the devices'
      memory ran out.
  """
  builder = evaluate_run.prepared(data_config, split, prepare.for_network)
  origin = prepare.identity(data_config, builder)
  splits = chosen_splits.of(data_config)
  if split != 'all':
    split_facts.refuse_moved(run, splits, data_config, origin)
  part = folds.select(builder, split, splits)
  source = reading.undecoded_examples(builder, part.split)
  summary = {
    **scores(run, builder, split, splits),
    'images': len(part.positions),
    'cars': len(folds.cars_of(source, part.positions)),
    'loss': run.config.train.loss,
    'batch_size': run.config.train.batch_size,
    'threshold': 0.5,
    'network_size': data_config.size,
    'cropped': data_config.multiview,
    **evaluate_run.identify(run, origin),
    'flip': False,
    # Crops are a data set of their own, made from the one that was asked for.
    'dataset': builder.info.full_name.replace(
      builder.name, data_config.dataset, 1
    ),
    'data': str(builder.data_path),
    'split': split,
    'validation_folds': list(splits.validation_folds),
    **split_facts.facts(splits, split, part, builder),
  }
  print(_text(summary))
  if folder:
    target = run_folder.evaluation_folder(
      folder, data_config.dataset, split, at_network_size=True
    )
    evaluate_run.make_room(target, data_config, origin)
    target.mkdir(parents=True, exist_ok=True)
    files.write(target / 'summary.json', json.dumps(summary, indent=2) + '\n')
    print(f'written to {target}')
  return summary


def scores(
  run: trained_run.Run,
  builder: tfds.core.DatasetBuilder,
  split: str,
  splits: chosen_splits.Splits = chosen_splits.STORED,
) -> dict[str, float]:
  """Scores one split.

  Args:
    run: a trained network.
    builder: the prepared data set of the network's size.
    split: train, validation, test, or all.
    splits: how the run splits its photos, see `folds.select`.

  Returns:
    Means over the images: `loss_at_network_size`, the one that the run was
    trained with; `dice_at_network_size`, `iou_at_network_size` and
    `accuracy_at_network_size` of masks; and what `soft_overlap.scores` returns
    for batches as in training.

  Raises:
    UserError: the split is empty, or the devices' memory ran out.
  """
  part = folds.select(builder, split, splits)
  each = predictor.images_at_once()
  batch_size = each * jax.local_device_count()
  count = input_pipeline.steps_per_epoch(len(part.positions), batch_size)
  batches = input_pipeline.batches(
    builder,
    split,
    batch_size=batch_size,
    steps=range(count),
    splits=splits,
  )
  step = devices.eval_step(_make_step(run.model, run.config.train.loss))
  found = collections.defaultdict(list)
  with device_memory.explained(lambda: predictor.remedy([run], each)):
    for batch in progress.bar(
      devices.to_devices(batches), total=count, title=split, unit='batch'
    ):
      real = devices.to_host(batch['weight']) > 0
      for name, values in devices.to_host(step(run.variables, batch)).items():
        found[name].append(values[real])
  by_image = {name: np.concatenate(x, dtype=float) for name, x in found.items()}
  soft = soft_overlap.scores(
    by_image.pop('soft_overlap'),
    by_image.pop('soft_size'),
    run.config.train.batch_size,
  )
  return {
    f'{name}_at_network_size': float(values.mean())
    for name, values in by_image.items()
  } | soft


def _make_step(
  model: nn.Module, loss: str
) -> Callable[..., dict[str, jax.Array]]:
  """Makes a step that scores each image of a batch, to run by `eval_step`."""
  loss_function = losses.by_name(loss)

  def step(variables, batch):
    target = steps.unit(batch['mask'])
    logits = model.apply(variables, steps.unit(batch['image']), train=False)
    found = soft_overlap.sums(jax.nn.sigmoid(logits), target)
    return {
      'loss': loss_function(logits, target),
      **overlap.scores(logits, target),
      'soft_overlap': found[0],
      'soft_size': found[1],
    }

  return step


def _text(summary):
  """The summary in words, at most 80 columns wide."""
  counted = names_in_messages.counted
  word = names.group_word(summary['dataset'])
  number = lambda name: f'{summary[name]:10.5f}'
  soft = lambda over: number(f'soft_dice_{over}') + number(f'soft_iou_{over}')
  crop = ' in a crop' if summary['cropped'] else ''
  return '\n'.join((
    f'{summary["dataset"]} {split_facts.in_words(summary)}: '
    f'{counted(summary["images"], "image")} of '
    f'{counted(summary["cars"], word)}',
    f"at the network's size, {summary['network_size']}{crop}: not comparable "
    'with Dice at full size',
    *split_facts.lines(summary),
    f'{"":5}{"Dice":>10}{"IoU":>10}{"accuracy":>10}',
    f'hard {number("dice_at_network_size")}{number("iou_at_network_size")}'
    f'{number("accuracy_at_network_size")}  mean over images, threshold 0.5',
    f'soft {soft("batches")}{"":12}mean over batches of '
    f'{summary["batch_size"]}',
    f'soft {soft("set")}{"":12}over all images at once',
    f'loss {number("loss_at_network_size")}{"":22}mean over images of '
    f'{summary["loss"]}',
  ))  # fmt: skip
