"""The clock of one contestant of benchmarks/whole_job.py, and what it tells.

The clock runs from the start of the process and stands still while predictions
are made, written and scored. A contestant is given a JSON file, the job:

    started      time.monotonic() when its process was started
    growth       by how much the time grows from a mark to the next, at least
    predictions  the .npy to write
    train        [[photo, mask], …], files
    unseen       [photo, …]

For a mark it writes the .npy, prints `mark: SECONDS` and goes on when a line
comes; if none does, its time is over.
"""

import json
import pathlib
import sys
import time

import numpy as np

MARK = 'mark:'


class Marks:
  """What a contestant is given, its clock and its marks."""

  def __init__(self, path):
    self.job = json.loads(pathlib.Path(path).read_text())
    self._stood = 0.0  # seconds
    self._last = 0.0

  def due(self):
    """Whether enough time has passed since the last mark."""
    return self._seconds(time.monotonic()) >= self.job['growth'] * self._last

  def mark(self, predict):
    """Hands over predictions while the clock stands; exits if time is over.

    Args:
      predict: gives the logits of all `unseen` photos, float32 [N, h, w].
    """
    stopped = time.monotonic()
    self._last = self._seconds(stopped)
    np.save(self.job['predictions'], predict(), allow_pickle=False)
    print(MARK, self._last, flush=True)
    if not sys.stdin.readline():
      sys.exit()
    self._stood += time.monotonic() - stopped

  def _seconds(self, now):
    return now - self.job['started'] - self._stood
