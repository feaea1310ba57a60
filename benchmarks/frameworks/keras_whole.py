"""System B in Keras as its author ran it, for benchmarks/whole_job.py.

python -m benchmarks.frameworks.keras_whole JOB

JOB: see `marks`. 128x128, BCE, Adam 1e-3, batches of 16, dropout, neither
augmentation nor normalisation; all photos are read into memory first. Nothing
depends on the number of epochs, so it goes on until its time is over.
"""

import sys

import numpy as np

from benchmarks.frameworks import originals
from benchmarks.frameworks.keras_networks import keras, tiny_unet
from benchmarks.frameworks.marks import Marks

SIZE = 128, 128
BATCH = 16
DROPOUT = 0.2  # the slides don't give the rate
_FOR_EVER = 10**6  # epochs


def photos(paths):
  """float32 [N, h, w, 3], 0..1."""
  pixels = np.stack([originals.photo(path, *SIZE) for path in paths])
  return pixels.astype(np.float32) / 255


def masks(paths):
  """float32 [N, h, w, 1], 0..1."""
  pixels = np.stack([originals.mask(path, *SIZE) for path in paths])
  return pixels[..., None].astype(np.float32) / 255


class Marking(keras.callbacks.Callback):
  """Makes a mark after a step if one is due."""

  def __init__(self, marks):
    super().__init__()
    self._marks = marks
    self._unseen = None

  def on_train_batch_end(self, batch, logs=None):
    if self._marks.due():
      self._marks.mark(self._logits)

  def _logits(self):
    if self._unseen is None:
      self._unseen = photos(self._marks.job['unseen'])
    parts = range(0, len(self._unseen), BATCH)
    found = [
      self.model.predict_on_batch(self._unseen[i : i + BATCH]) for i in parts
    ]
    return np.concatenate(found)[..., 0]


def main(path):
  marks = Marks(path)
  keras.utils.set_random_seed(0)
  paths = zip(*marks.job['train'], strict=True)
  image, mask = (
    read(x) for read, x in zip((photos, masks), paths, strict=True)
  )
  net = tiny_unet(SIZE, dropout=DROPOUT)
  net.compile(
    keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(True)
  )
  net.fit(image, mask, BATCH, _FOR_EVER, verbose=2, callbacks=[Marking(marks)])


if __name__ == '__main__':
  main(*sys.argv[1:])
