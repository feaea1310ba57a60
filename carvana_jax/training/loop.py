"""The training loop: resume, step, validate, log, save, stop."""

import math
import pathlib
import time

import jax
from ml_collections import ConfigDict

from carvana_jax.datasets import input_pipeline, prepare
from carvana_jax.models import frozen_variables
from carvana_jax.parallel import device_memory, devices, processes
from carvana_jax.system import config_fields
from carvana_jax.system.errors import Interrupted, UserError
from carvana_jax.training import (
  batch_fit,
  check_config,
  checkpoint,
  early_start,
  epoch,
  initial_network,
  logbook,
  profiling,
  provenance,
  run_folder,
  saved_steps,
  steps,
  stopping,
  validation,
)
from carvana_jax.training.stopping import SkippedSteps

_ROW = '{:>5} {:>6} {:>8} {:>9} {:>10} {:>9} {:>10} {:>8} {:>7}'
_HEAD = _ROW.format(
  'epoch', 'step', 'loss', 'val loss', 'val Dice*', 'val IoU*', 'val acc.*',
  'images/s', 'minutes',
)  # fmt: skip


def use_cores(config: ConfigDict) -> None:
  """Makes a device of as many CPU cores as can share the config's batches.

  Call it before any function of JAX, see `devices.use_all_cores`.

  Args:
    config: as in configs/default.py.

  Raises:
    UserError: a field of the config is missing or of the wrong kind.
  """
  config_fields.check_fields(config)
  # Each device gets as many images of each micro-batch.
  parts = max(1, config.train.accumulate)
  devices.use_all_cores(config.train.batch_size // parts)


def train(config: ConfigDict, workdir: pathlib.Path, profile: int = 0) -> None:
  """Trains a network, from the start or from the latest checkpoint.

  Args:
    config: as in configs/default.py.
    workdir: where checkpoints and records go.
    profile: how many steps are traced, see `profiling.traced`.

  Raises:
    Interrupted: training is not over, after SIGINT or SIGTERM, which is said.
    UserError: the config can't be run, the folder holds another run or
      another process trains in it, too many steps in a row were skipped (see
      `stopping.SkippedSteps`), the devices' memory ran out, or a checkpoint
      could not be saved.
  """
  processes.run_in_all(lambda: check_config.check(config))
  if not processes.broadcast_result(lambda: saved_steps.exists(workdir)):
    # A checkpoint would hold the weights; the file may be gone by then.
    processes.run_in_all(lambda: frozen_variables.check_weights_file(config))
  processes.broadcast_result(
    lambda: run_folder.refuse_other_config(config, workdir)
  )
  with run_folder.lock(workdir):
    number = _train(config, workdir, profile)
  if number:
    print('interrupted and saved; the same command goes on from here')
    raise Interrupted(number)


def _train(config, workdir, profile):
  """As `train`, in a folder that is locked for this run."""
  processes.broadcast_result(lambda: saved_steps.set_aside_damaged(workdir))
  begun = processes.broadcast_result(lambda: saved_steps.exists(workdir))
  source = initial_network.load(config, begun)
  if source and not begun:
    initial_network.refuse_unfit(source, config)
  start = provenance.facts(workdir) | initial_network.facts(config, source)
  print(provenance.describe(start, config), flush=True)
  start_early = early_start.EarlyStart(config)
  data = processes.run_in_all(lambda: _prepare_data(config, start_early.begin))
  _refuse_differing(config, data)
  if source and not begun:
    initial_network.refuse_seen(source, config, data.identity)
  # First, as photos are kept in what is free once the steps have their memory.
  programs = start_early.programs(data.total_steps)
  data = data.keep_decoded()
  if processes.is_first():
    run_folder.write_config(config, workdir)
    run_folder.add_start(workdir, start)
  with (
    device_memory.explained(lambda: batch_fit.remedy(config)),
    stopping.StopSignal() as signal,
    checkpoint.Checkpoints(workdir) as checkpoints,
  ):
    return _train_epochs(
      config, workdir, data, source, signal, checkpoints, profile, programs
    )


def _train_epochs(
  config, workdir, data, source, signal, checkpoints, profile, programs
):
  """Trains from the latest step on; returns the signal that ended it, or 0."""
  state, notes = _first_or_latest(
    workdir, checkpoints, programs.create, config, data, source
  )
  train_step = epoch.announce_first(
    _train_step(config, programs, notes.get('init'))
  )
  validator = validation.Validation(config, programs.model, data)
  step = int(state.step)
  batches = devices.to_devices(data.training(step))
  skipped = SkippedSteps(data, config.train.max_skipped, notes['skipped'])
  limit = 60 * config.train.max_minutes or math.inf
  find_reason = lambda: stopping.reason_to_stop_early(
    config, data, step, notes['train_seconds'], checkpoints.best_step()
  )
  reason = find_reason()
  recorded = step
  if step < data.total_steps and not reason:
    print("* of masks at the network's size, mean over images")
    print(_HEAD, flush=True)
    recorded = _drop_half_epoch(checkpoints, data, step)
  with (
    logbook.Logbook(workdir, recorded) as book,
    profiling.traced(
      train_step, profile, workdir / 'profile', step
    ) as train_step,
  ):
    every = config.train.picture_epochs
    if every and step == 0:
      _add_pictures(book, validator, state, 0)
    while step < data.total_steps and not reason:
      # Whatever happens in an epoch happens in this order.
      number, first_step = step // data.steps_per_epoch + 1, step
      started = time.monotonic()
      state, sums = epoch.train(
        train_step, batches, data.steps_per_epoch, state, notes['sums'],
        started + limit - notes['train_seconds'], skipped, signal,
      )  # fmt: skip
      step = int(state.step)
      seconds = processes.gather(time.monotonic() - started)[0]
      partial = step % data.steps_per_epoch > 0
      notes |= {
        'config': config.to_dict(),
        'train_seconds': notes['train_seconds'] + seconds,
        'sums': sums if partial else {},
        'skipped': skipped.in_a_row,
      }
      is_early = partial and notes['train_seconds'] < limit
      if is_early and (caught := signal.received_by_any()):
        # Not scored or recorded, so that it ends as if never interrupted.
        checkpoints.save(state, notes, -math.inf)
        return caught
      scores = validator.scores(state.eval_variables)
      rate = (step - first_step) * config.train.batch_size / seconds
      _record(book, step, number, sums, scores, rate, notes['train_seconds'])
      if every and (number % every == 0 or step == data.total_steps):
        _add_pictures(book, validator, state, number)
      checkpoints.save(state, notes, validation.score(scores, config))
      if caught := signal.received_by_any():
        return caught
      reason = find_reason()
  if reason:
    print(f'stopped: {reason}')
  return signal.received_by_any()


def _prepare_data(config, begun):
  """Returns the run's data; those of the full size are made to be scored."""
  prepare.refuse_full_size(config.data)
  builder = prepare.for_network(config.data, begun)
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
  """Returns {name: value} of what must be the same in all processes."""
  fields = run_folder.compared(config)
  fields['train.max_minutes'] = config.train.max_minutes
  return {
    'commit': provenance.commit(),
    'data': data.identity,
    **{f'config.{name}': value for name, value in fields.items()},
  }


def _train_step(config, programs, init_notes):
  """Returns the training step, slower for what a network has brought."""
  optimizer = initial_network.slowed(
    programs.optimizer, config.train.init_rate, init_notes
  )
  if optimizer is programs.optimizer:
    return programs.train_step
  return devices.train_step(
    steps.make_train_step(programs.model, optimizer, config)
  )


def _first_or_latest(workdir, checkpoints, create, config, data, source):
  """Returns a state and its notes, see `Checkpoints.save`."""
  step = checkpoints.latest_step()
  like = devices.abstract(create)
  if step is None:
    return _first(create, like, config, data, source)
  notes = checkpoint.read_notes(workdir, step)
  if not prepare.is_same(config.data, notes['data'], data.identity):
    raise UserError(
      f'the run was started on {notes["data"]}, but the folder now gives '
      f'{data.identity}; bring back the old files or choose another --workdir.'
    )
  initial_network.refuse_other(
    source, notes.get('init'), config.train.init_from
  )
  print(f'going on from step {step}', flush=True)
  return checkpoint.read_state(workdir, step, like), notes


def _first(create, like, config, data, source):
  """Returns the state and the notes that a run starts with."""
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
    'sums': {},  # of an epoch that is not over, see `epoch.train`
    'skipped': 0,  # steps in a row, just before the next one
  }
  if source:
    state, notes['init'] = initial_network.start_from(source, config, state)
  elif config.model.get('encoder_weights') == 'random':
    print('the encoder starts at random and is trained from scratch')
  return state, notes


def _drop_half_epoch(checkpoints, data, step):
  """Drops the score of half an epoch, which will have its own.

  Returns:
    The last step whose records are kept; -1 for none, before the first step.
  """
  last = step - step % data.steps_per_epoch
  if last < step:
    checkpoints.forget_score(step)
  return last if step else -1


def _add_pictures(book, validator, state, number):
  """Records sample predictions after an epoch; 0: before the first one."""
  step = int(state.step)
  title = f'epoch {number}, step {step}'
  book.pictures(step, number, validator.pictures(state.eval_variables, title))


def _record(book, step, number, sums, scores, rate, seconds):
  """Records what an epoch measured, and prints its row."""
  measured = epoch.means(sums)
  book.scalars(
    step,
    {
      'epoch': number,
      **{f'train/{name}': value for name, value in measured.items()},
      **{f'validation/{name}': value for name, value in scores.items()},
      'images_per_second': rate,
      # Devices wait less: they have two more steps to do meanwhile.
      'input_wait': sums['waited'] / sums['seconds'],
      'train_seconds': seconds,
    },
  )
  row = _ROW.format(
    number,
    step,
    f'{measured["loss"]:.5f}',
    f'{scores["loss"]:.5f}',
    f'{scores["dice"]:.5f}',
    f'{scores["iou"]:.5f}',
    f'{scores["accuracy"]:.5f}',
    f'{rate:.1f}',
    f'{seconds / 60:.1f}',
  )
  print(row, flush=True)
