"""A run's records: metrics.jsonl, TensorBoard, sample pictures."""

import json
import os
import pathlib

import numpy as np

from carvana_jax.datasets import images
from carvana_jax.parallel import processes
from carvana_jax.system import files
from carvana_jax.system.host_tensorflow import tf
from carvana_jax.training.run_folder import read_metrics


class Logbook:
  """Writes scalars to `metrics.jsonl` and TensorBoard, pictures to both.

  Of several processes only the first one does.
  """

  def __init__(self, workdir: pathlib.Path, last_step: int):
    """Opens the records of a run that starts or goes on.

    Args:
      workdir: the run's folder.
      last_step: of the lines and events to keep. Later ones, from a run that
        was cut off after its last checkpoint, will be made again.
    """
    self._pictures = workdir / 'pictures'
    self._path = workdir / 'metrics.jsonl'
    self._board = None
    if not processes.is_first():
      return
    if self._path.exists():
      rows = [row for row in read_metrics(workdir) if row['step'] <= last_step]
      files.write(self._path, ''.join(map(_line, rows)))
    for path in (workdir / 'tensorboard').glob('*.tfevents.*'):
      _drop_events_after(path, last_step)
    self._board = tf.summary.create_file_writer(str(workdir / 'tensorboard'))

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self._board:
      self._board.close()

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """Records numbers, such as {'train/loss': 0.1}."""
    if not self._board:
      return
    with self._path.open('a') as file:
      file.write(_line({'step': step, **values}))
    with self._board.as_default(step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    self._board.flush()

  def pictures(self, step: int, epoch: int, strips: np.ndarray) -> None:
    """Records sample predictions.

    Args:
      step: of the run.
      epoch: of the run, names the file.
      strips: uint8 [N, H, W, 3], one a sample: input, target, prediction.
    """
    if not self._board:
      return
    with self._board.as_default(step):
      tf.summary.image('input, target, prediction', strips, max_outputs=99)
    self._pictures.mkdir(exist_ok=True)
    sheet = images.encode_png(np.concatenate(strips))
    files.write(self._pictures / f'epoch_{epoch:03d}.png', sheet)


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


def strips(
  image: np.ndarray, mask: np.ndarray, probability: np.ndarray
) -> np.ndarray:
  """Input, target and prediction side by side.

  Args:
    image: uint8 [N, H, W, 3].
    mask: uint8 [N, H, W].
    probability: float [N, H, W], 0..1.

  Returns:
    uint8 [N, H, 3 W, 3].
  """
  colour = lambda x: np.repeat(x[..., None], 3, axis=-1)
  predicted = np.round(probability * 255).astype(np.uint8)
  return np.concatenate([image, colour(mask), colour(predicted)], axis=2)
