"""An epoch's sums, and how they reach the host."""

import math
import types
from unittest import mock

import chex
import jax
import jax.numpy as jnp

from carvana_jax.training import epoch


class TrainTest(chex.TestCase):
  def test_sums_by_hand_fetched_once_a_step(self):
    # Loss, images and skipped of each step.
    measured = [(0.5, 4, 0), (math.nan, 4, 1), (0.25, 2, 0)]

    def step(state, batch, _):
      names = 'loss', 'images', 'skipped', 'stop_requests'
      values = dict(zip(names, (*batch, 0), strict=True))
      return types.SimpleNamespace(step=state.step + 1), {
        name: jnp.float32(value) for name, value in values.items()
      }

    skipped = mock.Mock()
    with mock.patch.object(jax, 'device_get', wraps=jax.device_get) as get:
      state, sums = epoch.train(
        step, iter(measured), len(measured), types.SimpleNamespace(step=0), {},
        math.inf, skipped, types.SimpleNamespace(received=False),
      )  # fmt: skip
    self.assertEqual(state.step, 3)
    self.assertEqual(get.call_count, 3)
    self.assertEqual(
      {name: sums[name] for name in ('loss', 'images', 'skipped')},
      {'loss': 0.5 * 4 + 0.25 * 2, 'images': 6, 'skipped': 1},
    )
    self.assertEqual(
      skipped.add.mock_calls,
      [mock.call(1, False), mock.call(2, True), mock.call(3, False)],
    )
