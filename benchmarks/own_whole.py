"""This project's run in benchmarks/whole_job.py: trains as `main` does.

python -m benchmarks.own_whole JOB FLAGS

JOB is described in `frameworks.marks`; FLAGS are those of carvana_jax.main.
There is a mark after every epoch, before the run's own validation.
"""

from carvana_jax.system import malloc

if __name__ == '__main__':
  malloc.keep_freed()  # `main` would, but after these imports

import pathlib
import runpy
import sys

import numpy as np

from benchmarks.frameworks.marks import Marks
from carvana_jax.datasets import images
from carvana_jax.inference import predictor
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run, validation


def marking(marks: Marks) -> type[validation.Validation]:
  """Returns a run's validation that makes a mark first."""

  class Marking(validation.Validation):
    """Of one network."""

    def __init__(self, config, model, data):
      if config.data.multiview:
        raise UserError(
          'crops of config.data.multiview are not compared; set it to False.'
        )
      super().__init__(config, model, data)
      self._config, self._model = config, model
      self._given = None  # the unseen photos as the network sees them

    def scores(self, variables):
      marks.mark(lambda: self._logits(variables))
      return super().scores(variables)

    def _logits(self, variables):
      if self._given is None:
        photos = predictor.inputs(
          [marks.job['unseen']],
          lambda path: images.decode_photo(pathlib.Path(path).read_bytes()),
          [self._config.data],
        )
        self._given = list(photos)
      run = trained_run.Run(self._config, self._model, variables, 0, '')
      run = run.with_flip(False)  # the peers predict once, too
      predicted = predictor.predictions([run], self._given)
      return np.stack([prediction.logits[0] for _, prediction in predicted])

  return Marking


if __name__ == '__main__':
  validation.Validation = marking(Marks(sys.argv.pop(1)))
  runpy.run_module('carvana_jax.main', run_name='__main__', alter_sys=True)
