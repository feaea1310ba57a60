"""The training loop: resume, step, log, validate, save, stop."""

import collections
import json
import math
import os
import pathlib
import time

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from carvana_jax import (
  header,
  input_pipeline,
  logbook,
  losses,
  models,
  parallel,
  prepare,
  steps,
  train_state,
)
from carvana_jax.checkpoint import Checkpoints, abstract, state_creator
from carvana_jax.errors import UserError

# Fields that may differ between the parts of a run that was interrupted.
_FREE_FIELDS = ('train.max_minutes', 'data.data_dir', 'data.manual_dir')

_CONFIG_FILE = 'config.json'

_TABLE = '{:>5} {:>7} {:>10} {:>10} {:>9} {:>9} {:>8}'
_TABLE_HEAD = _TABLE.format(
  'epoch', 'step', 'loss', 'val loss', 'val Dice*', 'images/s', 'minutes'
)


def train(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Trains a network, from the start or from the latest checkpoint.

  Args:
    config: as in `configs/default.py`.
    workdir: where checkpoints and records go.

  Raises:
    UserError: the config can't be run, the folder holds another run, or the
      loss stopped being a number.
  """
  _check(config)
  _refuse_other_config(config, workdir)
  print(header.describe(config, workdir), flush=True)
  builder = prepare.dataset(config.data, config.data.size)
  data = _Data(builder, config)
  model = models.build(config.model)
  optimizer = train_state.make_optimizer(config.optimizer, data.total_steps)
  create = state_creator(config, model, optimizer)
  step_function = parallel.train_step(
    steps.make_train_step(
      model,
      optimizer,
      config.train.loss,
      config.augment.flip,
      config.train.average_decay,
    )
  )
  validation = _Validation(config, model, data)
  _write_config(config, workdir)

  with Checkpoints(workdir) as checkpoints:
    seconds = 0.0  # spent in training steps, over all parts of the run
    if checkpoints.latest is None:
      state = parallel.create(create)
    else:
      state = checkpoints.state(checkpoints.latest, abstract(create))
      seconds = checkpoints.notes(checkpoints.latest)['train_seconds']
      print(f'going on from step {checkpoints.latest}', flush=True)
    with logbook.Logbook(workdir, int(state.step)) as book:
      _loop(
        config, data, step_function, validation, checkpoints, book,
        state, seconds,
      )  # fmt: skip


def _loop(
  config, data, step_function, validation, checkpoints, book, state, seconds
):
  """Epochs: train, then in this order validate, log, draw, save."""
  first_epoch = int(state.step) // data.steps_per_epoch
  limit = config.train.max_minutes * 60 or math.inf
  batches = parallel.to_devices(data.training(int(state.step)))
  if first_epoch < config.train.epochs and seconds < limit:
    print(_TABLE_HEAD + '   *at network size', flush=True)
  for epoch in range(first_epoch + 1, config.train.epochs + 1):
    if seconds >= limit:
      print(f'stopped: {config.train.max_minutes} minutes are over')
      break
    started = time.monotonic()
    first_step = int(state.step)
    state, measured = _epoch(
      state, step_function, batches, data.steps_per_epoch,
      epoch, started + limit - seconds, checkpoints,
    )  # fmt: skip
    elapsed = time.monotonic() - started
    seconds += elapsed
    rate = (int(state.step) - first_step) * config.train.batch_size / elapsed
    valid = validation.scores(state.best_variables)
    book.scalars(
      int(state.step),
      {
        'epoch': epoch,
        **{f'train/{name}': value for name, value in measured.items()},
        **{f'validation/{name}': value for name, value in valid.items()},
        'images_per_second': rate,
        'train_seconds': seconds,
      },
    )
    row = (
      epoch,
      int(state.step),
      f'{measured["loss"]:.5f}',
      f'{valid["loss"]:.5f}',
      f'{valid["dice"]:.5f}',
      f'{rate:.1f}',
      f'{seconds / 60:.1f}',
    )
    tqdm.write(_TABLE.format(*row))
    every = config.train.picture_epochs
    if every and (epoch % every == 0 or epoch == config.train.epochs):
      strips = validation.pictures(state.best_variables)
      book.pictures(int(state.step), epoch, strips)
    notes = {'config': config.to_dict(), 'train_seconds': seconds}
    checkpoints.save(state, notes, valid)


def _epoch(state, step_function, batches, count, epoch, deadline, checkpoints):
  """Trains to the end of an epoch or to the deadline.

  Returns:
    The new state, and each metric's mean over the steps.
  """
  measured = collections.defaultdict(list)
  # Numbers are fetched two steps late, so that the devices never wait for
  # the host; a loss that is not a number is still noticed at once.
  waiting = collections.deque()

  def settle(step, values):
    values = {name: float(value) for name, value in values.items()}
    if not all(math.isfinite(value) for value in values.values()):
      raise UserError(
        f'the loss or its gradient stopped being a number at step {step}; '
        f'step {checkpoints.latest} is the last good checkpoint. Lower '
        'config.optimizer.learning_rate or set config.optimizer.clip_norm.'
      )
    for name, value in values.items():
      measured[name].append(value)
    bar.set_postfix(loss=f'{values["loss"]:.4f}', refresh=False)

  done = int(state.step) % count
  with tqdm(
    total=count,
    initial=done,
    desc=f'epoch {epoch}',
    unit='step',
    leave=False,
    disable=None,
  ) as bar:
    for position in range(done, count):
      state, values = step_function(state, next(batches))
      waiting.append(((epoch - 1) * count + position + 1, values))
      if len(waiting) > 2:
        settle(*waiting.popleft())
      bar.update()
      if time.monotonic() > deadline:
        break
    while waiting:
      settle(*waiting.popleft())
  return state, {name: float(np.mean(v)) for name, v in measured.items()}


class _Data:
  """The batches of a run."""

  def __init__(self, builder, config):
    splits = builder.info.splits
    for split in ('train', 'validation'):
      if split not in splits or not splits[split].num_examples:
        raise UserError(
          f'the {split} split of {builder.info.full_name} holds no car; '
          'add cars to the folder (the split follows from the car ids).'
        )
    self._builder = builder
    self._config = config
    self._process = (jax.process_index(), jax.process_count())
    self.steps_per_epoch = input_pipeline.steps_per_epoch(
      splits['train'].num_examples, config.train.batch_size
    )
    self.total_steps = self.steps_per_epoch * config.train.epochs

  def training(self, first_step):
    """Shuffled batches from a step to the end of the run."""
    return input_pipeline.batches(
      self._builder,
      'train',
      batch_size=self._config.train.batch_size,
      steps=range(first_step, self.total_steps),
      seed=self._config.seed,
      process=self._process,
    )

  def validation(self):
    """All validation examples once, in their order."""
    size = self._config.train.batch_size
    examples = self._builder.info.splits['validation'].num_examples
    return input_pipeline.batches(
      self._builder,
      'validation',
      batch_size=size,
      steps=range(input_pipeline.steps_per_epoch(examples, size)),
      process=self._process,
    )


class _Validation:
  """Scores and sample pictures at the network's size."""

  SAMPLES = 4

  def __init__(self, config, model, data):
    self._data = data
    self._score = parallel.eval_step(
      steps.make_eval_step(model, config.train.loss, config.eval.threshold)
    )
    size = prepare.spec.parse_size(config.data.size)
    self._predict = parallel.eval_step(steps.make_predict_step(model, size))

  def scores(self, variables) -> dict[str, float]:
    """Means over the validation images of loss, dice, iou and accuracy."""
    sums = collections.Counter()
    for batch in parallel.to_devices(self._data.validation()):
      values = parallel.to_host(self._score(variables, batch))
      weight = parallel.to_host(batch['weight'])
      sums['images'] += float(weight.sum())
      for name, value in values.items():
        sums[name] += float((value * weight).sum())
    images = sums.pop('images')
    return {name: value / images for name, value in sums.items()}

  def pictures(self, variables) -> np.ndarray:
    """Strips of the first batch, from evenly spread positions in it."""
    batch = next(iter(parallel.to_devices(self._data.validation(), ahead=0)))
    probability = parallel.to_host(self._predict(variables, batch['image']))
    batch = parallel.to_host(batch)
    chosen = np.linspace(0, len(probability) - 1, self.SAMPLES).astype(int)
    return logbook.strips(
      batch['image'][chosen], batch['mask'][chosen], probability[chosen]
    )


def _check(config):
  """Refuses values that would fail later and less clearly."""
  losses.by_name(config.train.loss)
  for size in (prepare.full_size(config.data), config.data.size):
    prepare.check_size(config.data, size)
  devices = jax.device_count()
  for section in ('train', 'eval'):
    size = config[section].batch_size
    if size < 1 or size % devices:
      raise UserError(
        f'config.{section}.batch_size={size} cannot be split over '
        f'{devices} devices; choose a multiple of {devices}.'
      )
  if config.train.epochs < 1:
    raise UserError('config.train.epochs must be at least 1.')


def _refuse_other_config(config, workdir):
  """Raises a `UserError` if the folder holds a run of another config."""
  path = workdir / _CONFIG_FILE
  if not path.exists():
    return
  there = _flat(ConfigDict(json.loads(path.read_text())))
  here = _flat(ConfigDict(json.loads(config.to_json())))
  differing = [
    f'{field} ({there.get(field)!r} there, {here.get(field)!r} here)'
    for field in sorted(there.keys() | here.keys())
    if there.get(field) != here.get(field) and field not in _FREE_FIELDS
  ]
  if differing:
    raise UserError(
      f'{workdir} holds a run of another config: {", ".join(differing)}. '
      'Choose another --workdir.'
    )


def _write_config(config, workdir):
  workdir.mkdir(parents=True, exist_ok=True)
  aside = workdir / (_CONFIG_FILE + '.tmp')
  aside.write_text(config.to_json(indent=2) + '\n')
  os.replace(aside, workdir / _CONFIG_FILE)


def _flat(config, prefix=''):
  """{'train.epochs': 20, …}"""
  flat = {}
  for name, value in config.items():
    if isinstance(value, ConfigDict):
      flat |= _flat(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = value
  return flat
