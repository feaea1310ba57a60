"""How many devices a CPU becomes."""

import os
from unittest import mock

import chex
import jax
from absl.testing import parameterized

from carvana_jax.parallel import devices


class UseAllCoresTest(chex.TestCase):
  @parameterized.parameters(
    (4, (), 4), (4, (16,), 4), (4, (6,), 3), (12, (16, 6), 2), (8, (7, 16), 1),
    (2, (0,), 2),
  )  # fmt: skip
  def test_as_many_as_share_all_batches(self, cores, batches, count):
    with (
      mock.patch.dict(os.environ, XLA_FLAGS=''),
      mock.patch('carvana_jax.system.threads.core_count', lambda: cores),
      mock.patch.object(jax.config, 'update') as update,
    ):
      devices.use_all_cores(*batches)
    update.assert_called_once_with('jax_num_cpu_devices', count)

  @parameterized.parameters(
    {'XLA_FLAGS': '--xla_force_host_platform_device_count=3'},
    {'XLA_FLAGS': '', 'JAX_NUM_CPU_DEVICES': '1'},
  )
  def test_a_choice_of_the_users_stays(self, **chosen):
    with (
      mock.patch.dict(os.environ, chosen),
      mock.patch.object(jax.config, 'update') as update,
    ):
      devices.use_all_cores()
    update.assert_not_called()
