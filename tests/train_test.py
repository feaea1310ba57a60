"""The loop's guards, which no ordinary run shows."""

import pathlib
import tempfile
from unittest import mock

import chex
import jax.numpy as jnp

from carvana_jax import checkpoint, parallel, prepare, train
from carvana_jax.errors import UserError
from configs import debug
from tests import numbered


class NotANumberTest(chex.TestCase):
  def test_stops_and_keeps_the_last_good_checkpoint(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = debug.get_config()
    config.train.batch_size = 4  # so an epoch has three steps
    builder = numbered.prepare(folder / 'data')
    workdir = folder / 'run'
    original, bad_step = parallel.train_step, 5

    def broken(step):
      def wrapped(state, batch):
        new_state, values = step(state, batch)
        loss = jnp.where(new_state.step == bad_step, jnp.nan, values['loss'])
        return new_state, values | {'loss': loss}

      return original(wrapped)

    with (
      mock.patch.object(prepare, 'dataset', lambda *_: builder),
      mock.patch.object(parallel, 'train_step', broken),
      self.assertRaisesRegex(
        UserError,
        'stopped being a number at step 5; .* step 3 is the last good',
      ),
    ):
      train.train(config, workdir)
    with checkpoint.Checkpoints(workdir) as checkpoints:
      self.assertEqual(checkpoints.latest, 3)
    chex.assert_tree_all_finite(checkpoint.load(workdir).variables)
