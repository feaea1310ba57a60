"""This project's run in benchmarks/whole_job.py: trains as `main` does.

python -m benchmarks.own_whole JOB FLAGS

JOB is described in `frameworks.marks`; FLAGS are those of carvana_jax.main.
There is a mark after every epoch, before the run's own validation, and as with
the peers after a step where one is due: --config.train.max_minutes could have
ended the run there.
"""

from carvana_jax.system import malloc

if __name__ == '__main__':
  malloc.keep_freed()  # `main` would, but after these imports

import pathlib
import runpy
import sys
from collections.abc import Callable

import jax
import numpy as np

from benchmarks.frameworks.marks import Marks
from carvana_jax.datasets import images
from carvana_jax.inference import predictor
from carvana_jax.system.errors import UserError
from carvana_jax.training import epoch, trained_run, validation


def marking(
  marks: Marks,
) -> tuple[type[validation.Validation], Callable[..., tuple]]:
  """Returns `validation.Validation` and `epoch.train` that make marks.

  The validation makes one first, training does so after each step where one is
  due.
  """
  validations = []

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
      validations.append(self)

    def scores(self, variables):
      marks.mark(lambda: self.logits(variables))
      return super().scores(variables)

    def logits(self, variables):
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

  original = epoch.train

  def train(train_step, *arguments):
    def step(state, batch, stop_requested):
      state, values = train_step(state, batch, stop_requested)
      if marks.due():
        jax.block_until_ready(state)  # before the clock stops
        marks.mark(lambda: validations[-1].logits(state.eval_variables))
      return state, values

    return original(step, *arguments)

  return Marking, train


if __name__ == '__main__':
  validation.Validation, epoch.train = marking(Marks(sys.argv.pop(1)))
  runpy.run_module('carvana_jax.main', run_name='__main__', alter_sys=True)
