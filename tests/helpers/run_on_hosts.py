"""Trains on numbered pictures, then scores; run by `hosts_test.py`.

    python -m tests.helpers.run_on_hosts --folder=FOLDER [--signal=SIGTERM]
        [--coordinator=… --num_processes=… --process_id=…]

FOLDER holds the prepared pictures. Writes FOLDER/run, the numbers of the
pictures of every batch, and the scores that this number of processes and
devices has found.
"""

import json
import os
import pathlib
import signal
from unittest import mock

import jax
from absl import flags

from carvana_jax.configs import debug
from carvana_jax.datasets import folds, input_pipeline, prepare
from carvana_jax.evaluation import scoring
from carvana_jax.parallel import launch, processes
from carvana_jax.system import cli, common_flags
from carvana_jax.training import loop, trained_run
from tests.helpers import numbered

# Five steps an epoch, three epochs; neither number divides by anything.
SPLITS = {'train': 19, 'validation': 7, 'test': 3}
BATCH = 4
SIGNAL_AT = 7  # the batch, from 0, before which the last process gets a signal

_FOLDER = flags.DEFINE_string('folder', None, '')
_SIGNAL = flags.DEFINE_string('signal', '', '')


def config():
  """Of a run without dropout, for which each device draws for itself."""
  found = debug.get_config()
  found.model.levels = 1
  found.augment.flip_left_right = True
  # Adam divides by the size of the gradient, even if that is rounding errors.
  found.optimizer.update(name='sgd', learning_rate=0.1)
  found.train.update(batch_size=BATCH, epochs=3)
  return found


def _recorded(original, path):
  """`input_pipeline.batches` that writes down what it gives for training."""

  def batches(builder, split, *, steps, **rest):
    for step, batch in zip(
      steps, original(builder, split, steps=steps, **rest), strict=True
    ):
      if split == 'train':
        real = batch['image'][batch['weight'] > 0, 0, 0, 0].tolist()
        with path.open('a') as file:
          file.write(json.dumps([step, real]) + '\n')
        last = jax.process_index() == jax.process_count() - 1
        if _SIGNAL.value and last and step == SIGNAL_AT:
          os.kill(os.getpid(), signal.Signals[_SIGNAL.value])
      yield batch

  return batches


def main() -> None:
  """Trains, unless that was done, and scores."""
  folder = pathlib.Path(_FOLDER.value)
  builder = numbered.Numbered(data_dir=folder, file_format='array_record')
  chosen = config()
  chosen.data.data_dir = str(folder)
  args = flags.FLAGS
  with launch.connect(
    lambda: None, args.coordinator, args.num_processes, args.process_id
  ):
    name = f'{jax.process_index()}_of_{jax.process_count()}'
    batches = _recorded(input_pipeline.batches, folder / f'{name}.jsonl')
    with (
      mock.patch.object(prepare, 'dataset', lambda *_: builder),
      mock.patch.object(input_pipeline, 'batches', batches),
    ):
      loop.train(chosen, folder / 'run')
      run = trained_run.load(folder / 'run')
      part = folds.select(builder, 'validation')
      scored = scoring.score_images(run, builder, part)
    if processes.is_first():
      devices = f'{jax.process_count()}x{jax.local_device_count()}'
      place = folder / f'scores_{devices}.json'
      place.write_text(json.dumps(scored))


if __name__ == '__main__':
  common_flags.define_run_processes()
  # Seconds after which a silent process counts as dead; users wait longer.
  launch._PATIENCE = 10
  cli.run(main)
