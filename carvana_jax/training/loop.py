"""The training loop: resume, step, log, validate, save, stop."""

import collections
import math
import pathlib
import time

import jax
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.datasets import input_pipeline, prepare
from carvana_jax.models import frozen_variables
from carvana_jax.parallel import devices, processes
from carvana_jax.system import cli, config_fields, progress
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  check_config,
  checkpoint,
  logbook,
  provenance,
  run_folder,
  steps,
)
from carvana_jax.training.optimizer import make_optimizer
from carvana_jax.training.stopping import Interrupt, SkippedSteps
from carvana_jax.training.validation import Validation

_ROW = '{:>5} {:>7} {:>9} {:>9} {:>10} {:>9} {:>8}'
_HEAD = _ROW.format(
  'epoch', 'step', 'loss', 'val loss', 'val Dice*', 'images/s', 'minutes'
)


def use_cores(config: ConfigDict) -> None:
  """Makes a device of as many CPU cores as share the config's batches.

  Before any call of JAX, see `devices.use_all_cores`.
  """
  config_fields.check_fields(config)
  # Each device gets as many images of each micro-batch.
  parts = max(1, config.train.accumulate)
  devices.use_all_cores(
    config.train.batch_size // parts, config.eval.batch_size
  )


def train(config: ConfigDict, workdir: pathlib.Path) -> bool:
  """Trains a network, from the start or from the latest checkpoint.

  Args:
    config: as in `configs/default.py`.
    workdir: where checkpoints and records go.

  Returns:
    Whether training is over; False after SIGINT or SIGTERM, which is said.

  Raises:
    UserError: the config can't be run, the folder holds another run or
      another process trains in it, too many steps in a row were skipped (see
      `stopping.SkippedSteps`), or a checkpoint could not be saved.
  """
  processes.run_in_all(lambda: check_config.check(config))
  if not processes.broadcast_result(lambda: checkpoint.exists(workdir)):
    # Else what it checks is in there.
    processes.run_in_all(lambda: frozen_variables.check_weights_file(config))
  processes.broadcast_result(
    lambda: run_folder.refuse_other_config(config, workdir)
  )
  with run_folder.lock(workdir):
    is_over = _train(config, workdir)
  if not is_over:
    print('interrupted and saved; the same command goes on from here')
  return is_over


def _train(config, workdir):
  processes.broadcast_result(lambda: checkpoint.set_aside_damaged(workdir))
  start = provenance.facts(workdir)
  print(provenance.describe(start, config), flush=True)
  data = processes.run_in_all(lambda: _data(config))
  _refuse_differing(config, data)
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, data.total_steps)
  create = checkpoint.state_creator(config, model, optimizer)
  train_step = _telling_first(
    devices.train_step(steps.make_train_step(model, optimizer, config))
  )
  validation = Validation(config, model, data)
  if processes.is_first():
    run_folder.write_config(config, workdir)
    run_folder.add_start(workdir, start)
  skips = SkippedSteps(data, config.train.max_skipped)
  limit = 60 * config.train.max_minutes or math.inf

  with Interrupt() as interrupt, checkpoint.Checkpoints(workdir) as checkpoints:
    wished = lambda: any(processes.gather(interrupt.wished))
    state, notes = _first_or_latest(checkpoints, create, config, data)
    step, skips.row = int(state.step), notes['skipped']
    batches = devices.to_devices(data.training(step))
    over = _is_over(step, notes, checkpoints, config, data)
    told = step
    if not over:
      print(_HEAD + '  *network size', flush=True)
      # What there is of the epoch under way will be told when it ends.
      told -= step % data.steps_per_epoch
      if told < step:
        checkpoints.forget_score(step)
    with logbook.Logbook(workdir, told) as book:
      while not over:
        # Whatever happens in an epoch happens in this order.
        first_step, started = step, time.monotonic()
        epoch = step // data.steps_per_epoch + 1
        state, sums = _train_epoch(
          state, train_step, batches, data.steps_per_epoch, notes['sums'],
          started + limit - notes['train_seconds'], skips, interrupt,
        )  # fmt: skip
        step = int(state.step)
        elapsed = processes.gather(time.monotonic() - started)[0]
        part = step % data.steps_per_epoch > 0
        notes |= {
          'config': config.to_dict(),
          'train_seconds': notes['train_seconds'] + elapsed,
          'sums': sums if part else {},
          'skipped': skips.row,
        }
        if part and notes['train_seconds'] < limit and wished():
          # Neither scored nor recorded: it ends as if never interrupted.
          checkpoints.save(state, notes, -math.inf)
          return False
        valid = validation.scores(state.best_variables)
        rate = (step - first_step) * config.train.batch_size / elapsed
        _log(book, step, epoch, sums, valid, rate, notes['train_seconds'])
        every = config.train.picture_epochs
        if every and (epoch % every == 0 or step == data.total_steps):
          strips = validation.pictures(state.best_variables)
          book.pictures(step, epoch, strips)
        checkpoints.save(state, notes, _score(valid, config))
        if wished():
          return False
        over = _is_over(step, notes, checkpoints, config, data)
    return not wished()


def _data(config):
  builder = prepare.for_network(config.data)
  # Needed at the end; better to learn now if it can't be made.
  prepare.for_scoring(config.data)
  return input_pipeline.RunData.open(builder, config)


def _refuse_differing(config, data):
  """Raises a `UserError` if not all processes would do the same."""
  own = _compared(config, data)
  for number, other in enumerate(processes.gather(own)):
    for name, value in own.items():
      if other.get(name) != value:
        raise UserError(
          f'{name} is {other.get(name)!r} in process {number} of the run, but '
          f'{value!r} in process {jax.process_index()}; start all with the '
          'same code, files and flags.'
        )


def _compared(config, data):
  """What must be the same in all processes."""
  fields = run_folder.compared(config)
  fields['train.max_minutes'] = config.train.max_minutes
  return {
    'commit': provenance.commit(),
    'data': data.identity,
    **{f'config.{name}': value for name, value in fields.items()},
  }


def _first_or_latest(checkpoints, create, config, data):
  """A state and its notes, see `Checkpoints.save`."""
  step = checkpoints.latest
  like = devices.abstract(create)
  if step is None:
    state = processes.broadcast_arrays(lambda: devices.create(create), like)
    values, origin = frozen_variables.values(
      state.frozen, config.model, data.whole('train')
    )
    values = processes.broadcast_arrays(
      lambda: devices.replicate(values), like.frozen
    )
    state = state.replace(frozen=values)
    notes = {
      'data': data.identity,
      'train_seconds': 0.0,
      'frozen': origin,
      'sums': {},  # of an epoch that is not over, see `_train_epoch`
      'skipped': 0,  # steps in a row, just before the next
    }
    return state, notes
  notes = checkpoints.notes(step)
  if notes['data'] != data.identity:
    raise UserError(
      f'the run was started on {notes["data"]}, but the folder now gives '
      f'{data.identity}; bring back the old files or choose another --workdir.'
    )
  print(f'going on from step {step}', flush=True)
  return checkpoints.state(step, like), notes


def _telling_first(train_step):
  """The same step, which says once how long it took to get there."""
  told = not processes.is_first()

  def step(*arguments):
    nonlocal told
    results = train_step(*arguments)
    if not told:
      told = True
      jax.block_until_ready(results)
      seconds = time.monotonic() - cli.STARTED
      progress.print_above(f'first step after {seconds:.1f} s')
    return results

  return step


def _score(valid, config):
  """What makes a checkpoint the best: the higher, the better."""
  sign = -1 if config.train.monitor == 'loss' else 1
  score = sign * valid[config.train.monitor]
  return score if math.isfinite(score) else -math.inf


def _is_over(step, notes, checkpoints, config, data):
  """Whether training ends here; prints why where it could have gone on."""
  if step >= data.total_steps:
    return True
  minutes, patience = config.train.max_minutes, config.train.patience
  if minutes and notes['train_seconds'] >= 60 * minutes:
    print(f'stopped: {minutes} minutes are over')
    return True
  best = checkpoints.best
  if patience and best and step - best >= patience * data.steps_per_epoch:
    print(
      f'stopped: {patience} epochs without a better validation '
      f'{config.train.monitor}; step {best} is the best'
    )
    return True
  return False


def _train_epoch(
  state, train_step, batches, count, sums, deadline, skips, interrupt
):
  """Trains to the end of an epoch of `count` steps, unless stopped before.

  Args:
    sums: of the epoch's steps before this one, {} at its start.

  Returns:
    The new state; and of each metric the sum over the images in the steps that
    were not skipped, of `images` and `skipped` their numbers, and the `seconds`
    that all took, with those in which the host `waited` for batches.
  """
  started = time.monotonic()
  sums = collections.Counter(sums)
  # Numbers are fetched two steps late, so that the devices never wait for
  # the host; steps skipped in a row are still noticed at once.
  waiting = collections.deque()

  def settle(step, values):
    """Adds up; whether a process wants to stop, which all learn here."""
    values = {name: float(value) for name, value in values.items()}
    images, skipped = values.pop('images'), values.pop('skipped')
    wishes = values.pop('wishes')
    skips.add(step, skipped > 0)
    sums['skipped'] += skipped
    sums['images'] += 0 if skipped else images
    for name, value in values.items():
      sums[name] += 0 if skipped else value * images
    bar.set_postfix(loss=f'{values["loss"]:.4f}', refresh=False)
    return wishes > 0

  epoch, done = divmod(int(state.step), count)
  with progress.bar(
    total=count,
    initial=done,
    title=f'epoch {epoch + 1}',
    unit='step',
  ) as bar:
    wish = stop = False
    for position in range(done, count):
      asked = time.monotonic()
      batch = next(batches)
      sums['waited'] += time.monotonic() - asked
      state, values = train_step(state, batch, wish)
      waiting.append((epoch * count + position + 1, values))
      if len(waiting) > 2:
        stop = settle(*waiting.popleft())
      bar.update()
      # The processes' clocks differ; that of the first counts.
      late = processes.is_first() and time.monotonic() > deadline
      wish = interrupt.wished or late
      if stop or (wish and processes.is_only()):
        break
    while waiting:
      settle(*waiting.popleft())
  sums['seconds'] += time.monotonic() - started
  return state, dict(sums)


def _means(sums):
  """Of each metric the mean over the images; of `skipped` the number."""
  images = sums['images'] or math.nan
  means = {
    name: value / images
    for name, value in sums.items()
    if name not in ('images', 'seconds', 'waited')
  }
  return means | {'skipped': sums['skipped']}


def _log(book, step, epoch, sums, valid, rate, seconds):
  """Records an epoch, and prints its row."""
  measured = _means(sums)
  book.scalars(
    step,
    {
      'epoch': epoch,
      **{f'train/{name}': value for name, value in measured.items()},
      **{f'validation/{name}': value for name, value in valid.items()},
      'images_per_second': rate,
      # Devices wait less: they have two more steps to do meanwhile.
      'input_wait': sums['waited'] / sums['seconds'],
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
