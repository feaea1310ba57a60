"""The training loop: resume, step, log, validate, save, stop."""

import collections
import math
import pathlib
import time

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from carvana_jax import (
  check,
  checkpoint,
  header,
  input_pipeline,
  logbook,
  models,
  parallel,
  prepare,
  steps,
  train_state,
)
from carvana_jax import workdir as run_folder
from carvana_jax.datasets import spec
from carvana_jax.errors import UserError
from carvana_jax.interrupt import Interrupt

_ROW = '{:>5} {:>7} {:>9} {:>9} {:>10} {:>9} {:>8}'
_HEAD = _ROW.format(
  'epoch', 'step', 'loss', 'val loss', 'val Dice*', 'images/s', 'minutes'
)


def train(config: ConfigDict, workdir: pathlib.Path) -> bool:
  """Trains a network, from the start or from the latest checkpoint.

  Args:
    config: as in `configs/default.py`.
    workdir: where checkpoints and records go.

  Returns:
    Whether training is over; False after SIGINT or SIGTERM.

  Raises:
    UserError: the config can't be run, the folder holds another run, or the
      loss stopped being a number.
  """
  check.check(config)
  run_folder.refuse_other_config(config, workdir)
  print(header.describe(config, workdir), flush=True)
  # The second is needed at the end; better to learn now if it can't be made.
  builder = prepare.dataset(config.data, config.data.size)
  prepare.dataset(config.data, prepare.full_size(config.data))
  data = _Data(builder, config)
  model = models.build(config.model)
  optimizer = train_state.make_optimizer(config.optimizer, data.total_steps)
  create = checkpoint.state_creator(config, model, optimizer)
  train_step = parallel.train_step(
    steps.make_train_step(
      model,
      optimizer,
      config.train.loss,
      config.augment,
      config.train.average_decay,
    )
  )
  validation = _Validation(config, model, data)
  run_folder.write_config(config, workdir)
  limit = 60 * config.train.max_minutes or math.inf

  with checkpoint.Checkpoints(workdir) as checkpoints, Interrupt() as interrupt:
    state, seconds = _first_or_latest(checkpoints, create, data.identity)
    with logbook.Logbook(workdir, int(state.step)) as book:
      batches = parallel.to_devices(data.training(int(state.step)))
      if int(state.step) < data.total_steps:
        print(_HEAD + '  *network size', flush=True)
      while int(state.step) < data.total_steps:
        if seconds >= limit:
          print(f'stopped: {config.train.max_minutes} minutes are over')
          break
        # Whatever happens in an epoch happens in this order.
        first_step, started = int(state.step), time.monotonic()
        epoch = first_step // data.steps_per_epoch + 1
        state, measured = _train_epoch(
          state, train_step, batches, data.steps_per_epoch, epoch,
          started + limit - seconds, checkpoints, interrupt,
        )  # fmt: skip
        elapsed = time.monotonic() - started
        step = int(state.step)
        seconds += elapsed
        valid = validation.scores(state.best_variables)
        rate = (step - first_step) * config.train.batch_size / elapsed
        _log(book, step, epoch, measured, valid, rate, seconds)
        every = config.train.picture_epochs
        if every and (epoch % every == 0 or step == data.total_steps):
          strips = validation.pictures(state.best_variables)
          book.pictures(step, epoch, strips)
        notes = {
          'config': config.to_dict(),
          'data': data.identity,
          'train_seconds': seconds,
        }
        checkpoints.save(state, notes, valid)
        if interrupt.wished:
          return False
  return True


def _first_or_latest(checkpoints, create, identity):
  """A state, and the seconds that were spent in training it."""
  step = checkpoints.latest
  if step is None:
    return parallel.create(create), 0.0
  notes = checkpoints.notes(step)
  if notes['data'] != identity:
    raise UserError(
      f'the run was started on {notes["data"]}, but the folder now gives '
      f'{identity}; bring back the old files or choose another --workdir.'
    )
  print(f'going on from step {step}', flush=True)
  state = checkpoints.state(step, checkpoint.abstract(create))
  return state, notes['train_seconds']


def _train_epoch(
  state, train_step, batches, count, epoch, deadline, checkpoints, interrupt
):
  """Trains to the end of an epoch of `count` steps, unless stopped before.

  Returns:
    The new state, and each metric's mean over the images.
  """
  sums = collections.Counter()
  # Numbers are fetched two steps late, so that the devices never wait for
  # the host; a loss that is not a number is still noticed at once.
  waiting = collections.deque()

  def settle(step, values):
    values = {name: float(value) for name, value in values.items()}
    if not all(map(math.isfinite, values.values())):
      raise UserError(_not_a_number(step, checkpoints.latest))
    images = values.pop('images')
    sums['images'] += images
    for name, value in values.items():
      sums[name] += value * images
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
      state, values = train_step(state, next(batches))
      waiting.append(((epoch - 1) * count + position + 1, values))
      if len(waiting) > 2:
        settle(*waiting.popleft())
      bar.update()
      if interrupt.wished or time.monotonic() > deadline:
        break
    while waiting:
      settle(*waiting.popleft())
  images = sums.pop('images')
  return state, {name: value / images for name, value in sums.items()}


def _not_a_number(step, saved):
  good = f'step {saved} is the last good one' if saved else 'none was saved'
  return (
    f'the loss or its gradient stopped being a number at step {step}; of the '
    f'checkpoints, {good}. Choose another --workdir and a lower '
    'config.optimizer.learning_rate or config.optimizer.clip_norm.'
  )


def _log(book, step, epoch, measured, valid, rate, seconds):
  """Records an epoch, and prints its row."""
  book.scalars(
    step,
    {
      'epoch': epoch,
      **{f'train/{name}': value for name, value in measured.items()},
      **{f'validation/{name}': value for name, value in valid.items()},
      'images_per_second': rate,
      'train_seconds': seconds,
    },
  )
  row = _ROW.format(
    epoch,
    step,
    f'{measured["loss"]:.5f}',
    f'{valid["loss"]:.5f}',
    f'{valid["dice"]:.5f}',
    f'{rate:.1f}',
    f'{seconds / 60:.1f}',
  )
  print(row, flush=True)


class _Data:
  """The batches of a run."""

  def __init__(self, builder, config):
    self._builder = builder
    self._config = config
    self._process = (jax.process_index(), jax.process_count())
    self.identity = prepare.identity(builder)
    self.steps_per_epoch = self._steps('train')
    self.total_steps = self.steps_per_epoch * config.train.epochs

  def training(self, first_step):
    """Shuffled batches from a step to the end of the run."""
    steps_left = range(first_step, self.total_steps)
    return self._batches('train', steps_left, self._config.seed)

  def validation(self):
    """All validation examples once, in their order."""
    return self._batches('validation', range(self._steps('validation')), None)

  def _steps(self, split):
    info = self._builder.info
    if split not in info.splits:
      raise UserError(
        f'{info.full_name} has no car in its {split} split, which follows '
        "from the cars' ids; add cars to the folder."
      )
    return input_pipeline.steps_per_epoch(
      info.splits[split].num_examples, self._config.train.batch_size
    )

  def _batches(self, split, which, seed):
    return input_pipeline.batches(
      self._builder,
      split,
      batch_size=self._config.train.batch_size,
      steps=which,
      seed=seed,
      process=self._process,
    )


class _Validation:
  """Scores and sample pictures at the network's size."""

  SAMPLES = 4

  def __init__(self, config, model, data):
    self._data = data
    self._score = parallel.eval_step(
      steps.make_eval_step(model, config.eval.threshold, config.train.loss)
    )
    size = spec.parse_size(config.data.size)
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
    """Strips of a few photos, spread evenly over the first batch."""
    batch = next(iter(parallel.to_devices(self._data.validation(), ahead=0)))
    probability = parallel.to_host(self._predict(variables, batch['image']))
    batch = parallel.to_host(batch)
    real = int(batch['weight'].sum())
    chosen = np.linspace(0, real - 1, self.SAMPLES).astype(int)
    return logbook.strips(
      batch['image'][chosen], batch['mask'][chosen], probability[chosen]
    )
