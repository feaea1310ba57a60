"""A run's records: metrics.jsonl, TensorBoard and sample pictures."""

import json
import os
import pathlib
import socket
import time

import numpy as np
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.tensorflow_stub import errors, pywrap_tensorflow
from tensorboard.summary.writer.record_writer import RecordWriter

from carvana_jax.datasets import images
from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.training.run_folder import read_metrics


class Writer:
  """One kind of record. A writer does what it overrides."""

  def __init__(self, workdir: pathlib.Path, last_step: int):
    """Opens the records of a run that starts or goes on.

    Args:
      workdir: the run's folder.
      last_step: of the records to keep, -1 for none. Later ones, from a run
        that was cut off after its last checkpoint, will be made again.
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
    with files.named(self._path), self._path.open('a') as file:
      file.write(_line({'step': step, **values}))


class TensorBoard(Writer):
  """Writes scalars and pictures to the folder tensorboard.

  The events are those of tf.summary. TensorBoard's EventFileWriter would import
  TensorFlow where it is installed, which takes longer than all else.
  """

  def __init__(self, workdir, last_step):
    folder = workdir / 'tensorboard'
    folder.mkdir(exist_ok=True)
    for path in folder.glob('*.tfevents.*'):
      _drop_events_after(path, last_step)
    # TensorBoard reads one file after the other, in the order of their names.
    name = f'events.out.tfevents.{time.time():.6f}.{socket.gethostname()}'
    self._path = folder / name
    self._records = RecordWriter(self._path.open('wb'))
    self._write(event_pb2.Event(file_version='brain.Event:2'))

  def scalars(self, step, values):
    self._write(*(
      _event(step, name, 'scalars', TensorProto(
        dtype='DT_FLOAT',
        tensor_shape={},
        tensor_content=np.float32(value).tobytes(),
      ))
      for name, value in values.items()
    ))  # fmt: skip

  def pictures(self, step, epoch, strips):
    height, width = strips.shape[1:3]
    parts = [str(width).encode(), str(height).encode()]
    parts += map(images.encode_png, strips)
    self._write(_event(step, 'input, target, prediction', 'images', TensorProto(
      dtype='DT_STRING',
      tensor_shape={'dim': [{'size': len(parts)}]},
      string_val=parts,
    )))  # fmt: skip

  def close(self):
    self._records.close()

  def _write(self, *events):
    """Writes events, so that TensorBoard sees them at once."""
    with files.named(self._path):
      for event in events:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
      self._records.flush()


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
      epoch: of the run, counted from 1; 0 before the first step.
      strips: uint8 [N, H, W, 3], one a sample: input, target, prediction.
    """
    for writer in self._writers:
      writer.pictures(step, epoch, strips)


def read_records(path: pathlib.Path) -> tuple[list[bytes], bool]:
  """Reads a file of TensorBoard's events up to its end, or to a damaged one.

  Args:
    path: a file that TensorBoard or TensorFlow has written.

  Returns:
    The events as they are stored, and whether these are all of the file.
  """
  reader = pywrap_tensorflow.PyRecordReader_New(str(path))
  records = []
  while True:
    try:
      reader.GetNext()
    except errors.OutOfRangeError:
      return records, True
    except errors.DataLossError:
      return records, False
    records.append(reader.record())


def _line(row):
  return json.dumps(row) + '\n'


def _event(step, tag, plugin, tensor):
  """Returns the event of one value, for a plugin of TensorBoard."""
  value = {
    'tag': tag,
    'metadata': {'plugin_data': {'plugin_name': plugin}},
    'tensor': tensor,
  }
  return event_pb2.Event(step=step, summary={'value': [value]})


def _drop_events_after(path, step):
  """Writes a file of TensorBoard events anew if some are of later steps."""
  # The last one was being written when the run was cut off if it is not whole.
  records, whole = read_records(path)
  kept = [
    record
    for record in records
    # The first one tells the file's version.
    if (event := event_pb2.Event.FromString(record)).step <= step
    or event.HasField('file_version')
  ]
  if whole and len(kept) == len(records):
    return
  # Outside of the folder, where TensorBoard would read it.
  aside = path.parents[1] / 'events.tmp'
  with files.named(aside), aside.open('wb') as file:
    writer = RecordWriter(file)
    for record in kept:
      writer.write(record)
  os.replace(aside, path)
