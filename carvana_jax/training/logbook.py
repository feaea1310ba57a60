"""A run's records: metrics.jsonl, TensorBoard and sample pictures."""

import json
import os
import pathlib

import numpy as np

from carvana_jax.datasets import images
from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.host_tensorflow import tf
from carvana_jax.training.run_folder import read_metrics


class Writer:
  """One kind of record. A writer does what it overrides."""

  def __init__(self, workdir: pathlib.Path, last_step: int):
    """Opens the records of a run that starts or goes on.

    Args:
      workdir: the run's folder.
      last_step: of the records to keep. Later ones, from a run that was cut
        off after its last checkpoint, will be made again.
    """

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """Records numbers, such as {'train/loss': 0.1}."""

  def pictures(self, step: int, epoch: int, strips: np.ndarray) -> None:
    """Records sample predictions, see `Logbook.pictures`."""

  def close(self) -> None:
    """Ends the records."""


class JsonLines(Writer):
  """Writes scalars to metrics.jsonl, a line a step."""

  def __init__(self, workdir, last_step):
    self._path = workdir / 'metrics.jsonl'
    if self._path.exists():
      rows = [row for row in read_metrics(workdir) if row['step'] <= last_step]
      files.write(self._path, ''.join(map(_line, rows)))

  def scalars(self, step, values):
    with self._path.open('a') as file:
      file.write(_line({'step': step, **values}))


class TensorBoard(Writer):
  """Writes scalars and pictures to the folder tensorboard."""

  def __init__(self, workdir, last_step):
    folder = workdir / 'tensorboard'
    for path in folder.glob('*.tfevents.*'):
      _drop_events_after(path, last_step)
    self._board = tf.summary.create_file_writer(str(folder))

  def scalars(self, step, values):
    with self._board.as_default(step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    self._board.flush()

  def pictures(self, step, epoch, strips):
    with self._board.as_default(step):
      tf.summary.image('input, target, prediction', strips, max_outputs=99)

  def close(self):
    self._board.close()


class PictureFiles(Writer):
  """Writes pictures to the folder pictures, a file an epoch."""

  def __init__(self, workdir, last_step):
    self._folder = workdir / 'pictures'

  def pictures(self, step, epoch, strips):
    self._folder.mkdir(exist_ok=True)
    sheet = images.encode_png(np.concatenate(strips))
    files.write(self._folder / f'epoch_{epoch:03d}.png', sheet)


# Another log is another class in here.
WRITERS = (JsonLines, TensorBoard, PictureFiles)


class Logbook:
  """Hands a run's records to all writers.

  Of several processes only the first one does. Use it as a context manager.
  """

  def __init__(self, workdir: pathlib.Path, last_step: int):
    """Opens the records of a run that starts or goes on.

    Args:
      workdir: the run's folder.
      last_step: of the records to keep, see `Writer`.

    Raises:
      UserError: a line of metrics.jsonl is damaged.
    """
    self._writers = []
    if processes.is_first():
      self._writers = [writer(workdir, last_step) for writer in WRITERS]

  def __enter__(self):
    return self

  def __exit__(self, *_):
    for writer in self._writers:
      writer.close()

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """Records numbers.

    Args:
      step: of the run.
      values: the numbers by name, such as {'train/loss': 0.1}.
    """
    for writer in self._writers:
      writer.scalars(step, values)

  def pictures(self, step: int, epoch: int, strips: np.ndarray) -> None:
    """Records sample predictions.

    Args:
      step: of the run.
      epoch: of the run, counted from 1.
      strips: uint8 [N, H, W, 3], one a sample: input, target, prediction.
    """
    for writer in self._writers:
      writer.pictures(step, epoch, strips)


def _line(row):
  return json.dumps(row) + '\n'


def _drop_events_after(path, step):
  """Writes a file of TensorBoard events anew if some are of later steps."""
  records, whole = [], True
  try:
    # Without a size, TensorFlow prints which one it takes.
    events = tf.data.TFRecordDataset(str(path), buffer_size=2**18)
    for record in events.as_numpy_iterator():
      records.append(record)
  except tf.errors.DataLossError:
    whole = False  # the last one was being written when the run was cut off
  kept = [x for x in records if tf.compat.v1.Event.FromString(x).step <= step]
  if whole and len(kept) == len(records):
    return
  # Outside of the folder, where TensorBoard would read it.
  aside = path.parents[1] / 'events.tmp'
  with tf.io.TFRecordWriter(str(aside)) as writer:
    for record in kept:
      writer.write(record)
  os.replace(aside, path)
