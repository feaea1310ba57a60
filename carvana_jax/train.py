"""The training loop: resume, step, log, validate, save, stop."""

import collections
import math
import pathlib
import time

from ml_collections import ConfigDict
from tqdm import tqdm

from carvana_jax import (
  check,
  checkpoint,
  frozen,
  header,
  logbook,
  models,
  parallel,
  prepare,
  run_data,
  steps,
  train_state,
)
from carvana_jax import workdir as run_folder
from carvana_jax.errors import UserError
from carvana_jax.interrupt import Interrupt
from carvana_jax.validation import Validation

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
    UserError: the config can't be run, the folder holds another run or
      another process trains in it, the loss stopped being a number, or a
      checkpoint could not be saved.
  """
  check.check(config)
  if not checkpoint.exists(workdir):  # else what it checks is in there
    frozen.check(config)
  run_folder.refuse_other_config(config, workdir)
  with run_folder.lock(workdir):
    return _train(config, workdir)


def _train(config, workdir):
  checkpoint.set_aside_damaged(workdir)
  start = header.facts(workdir)
  print(header.describe(start, config), flush=True)
  # The second is needed at the end; better to learn now if it can't be made.
  builder = prepare.for_network(config.data)
  prepare.for_scoring(config.data)
  data = run_data.RunData(builder, config)
  model = models.build(config.model)
  optimizer = train_state.make_optimizer(config.optimizer, data.total_steps)
  create = checkpoint.state_creator(config, model, optimizer)
  train_step = parallel.train_step(
    steps.make_train_step(model, optimizer, config)
  )
  validation = Validation(config, model, data)
  run_folder.write_config(config, workdir)
  run_folder.add_start(workdir, start)
  limit = 60 * config.train.max_minutes or math.inf

  with checkpoint.Checkpoints(workdir) as checkpoints, Interrupt() as interrupt:
    state, notes = _first_or_latest(checkpoints, create, config, data)
    seconds = notes['train_seconds']
    with logbook.Logbook(workdir, int(state.step)) as book:
      batches = parallel.to_devices(data.training(int(state.step)))
      if int(state.step) < data.total_steps:
        print(_HEAD + '  *network size', flush=True)
      while int(state.step) < data.total_steps:
        if seconds >= limit:
          print(f'stopped: {config.train.max_minutes} minutes are over')
          break
        if _patience_is_over(state, checkpoints, config, data):
          print(
            f'stopped: {config.train.patience} epochs without a better '
            f'validation {config.train.monitor}; step {checkpoints.best} is '
            'the best'
          )
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
        notes |= {'config': config.to_dict(), 'train_seconds': seconds}
        checkpoints.save(
          state, notes, _score(valid, config, interrupt, data, step)
        )
        if interrupt.wished:
          return False
  return True


def _first_or_latest(checkpoints, create, config, data):
  """A state and its notes, see `Checkpoints.save`."""
  step = checkpoints.latest
  if step is None:
    state = parallel.create(create)
    values, origin = frozen.values(
      state.frozen, config.model, data.once('train')
    )
    state = state.replace(frozen=parallel.replicate(values))
    notes = {'data': data.identity, 'train_seconds': 0.0, 'frozen': origin}
    return state, notes
  notes = checkpoints.notes(step)
  if notes['data'] != data.identity:
    raise UserError(
      f'the run was started on {notes["data"]}, but the folder now gives '
      f'{data.identity}; bring back the old files or choose another --workdir.'
    )
  print(f'going on from step {step}', flush=True)
  state = checkpoints.state(step, checkpoint.abstract(create))
  return state, notes


def _score(valid, config, interrupt, data, step):
  """What makes a checkpoint the best: the higher, the better."""
  if interrupt.wished and step % data.steps_per_epoch:
    # A run that was interrupted has to end as one that was not.
    return -math.inf
  sign = -1 if config.train.monitor == 'loss' else 1
  return sign * valid[config.train.monitor]


def _patience_is_over(state, checkpoints, config, data):
  """Whether the best checkpoint is `config.train.patience` epochs old."""
  if not config.train.patience or checkpoints.best is None:
    return False
  age = int(state.step) - checkpoints.best
  return age >= config.train.patience * data.steps_per_epoch


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
